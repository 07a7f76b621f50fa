// The workloads of the scoreboard in Go, as a Go programmer would write them. Takes the name of a row and prints its
// figures on a line, as src/rows.rs lists them.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"time"
)

var rows = map[string]func() []float64{
	"spawn_join":     func() []float64 { return perOperation(100_000, func() { spawnJoin(100_000) }) },
	"fan_out":        func() []float64 { return perOperation(160_000, func() { fanOut(8, 20_000) }) },
	"chained":        func() []float64 { return perOperation(100_000, func() { chained(100_000) }) },
	"ping_pong_1":    func() []float64 { return perOperation(100_000, func() { pingPong(1, 100_000) }) },
	"ping_pong_1000": func() []float64 { return perOperation(200_000, func() { pingPong(1_000, 200) }) },
	"yield":          func() []float64 { return perOperation(200_000, func() { yields(200, 1_000) }) },
	"remote_spawn":   func() []float64 { return perOperation(100_000, func() { remoteSpawn(2, 50_000) }) },
	"skynet":         func() []float64 { return perOperation(1_000_000, func() { skynet(1_000_000) }) },
	"parked":         parked,
	"timers":         timersCPU,
	"lateness":       timerLateness,
	"timeouts":       timeouts,
	"echo_64":        func() []float64 { return perOperation(64_000, func() { echo(64, 1_000) }) },
	"echo_1024":      func() []float64 { return perOperation(102_400, func() { echo(1_024, 100) }) },
	"http":           serverCPU,
	"blocking":       blocking,
	"block":          func() []float64 { return lateness(4, block) },
	"spin":           func() []float64 { return lateness(2, spin) },
	"storm":          storm,
	"stuck":          stuck,
	"idle":           idle,
	"foreign_wake":   foreignWake,
}

func main() {
	if os.Args[1] == "client" {
		client(os.Args[2])
		return
	}
	workers, err := strconv.Atoi(os.Getenv("BENCH_WORKERS"))
	if err != nil {
		workers = 2
	}
	runtime.GOMAXPROCS(workers)
	if os.Args[1] == "priorities" {
		for _, figure := range priorities(os.Args[2]) {
			fmt.Print(figure, " ")
		}
		fmt.Println()
		return
	}
	// A row in which Go does not take part has no figures.
	if measure, found := rows[os.Args[1]]; found {
		for _, figure := range measure() {
			fmt.Print(figure, " ")
		}
	}
	fmt.Println()
}

// perOperation returns nanoseconds per operation: the median of three runs, after one to warm up.
func perOperation(operations int, work func()) []float64 {
	work()
	var figures []float64
	for range 3 {
		begin := time.Now()
		work()
		figures = append(figures, float64(time.Since(begin).Nanoseconds())/float64(operations))
	}
	sort.Float64s(figures)
	return figures[1:2]
}
