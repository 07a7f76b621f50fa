// A batch beside work that somebody waits for: see src/priorities.
package main

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"os/exec"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	batchSize = 100_000
	work      = 100 * time.Microsecond
	rest      = 300 * time.Millisecond
	pause     = 10 * time.Millisecond
)

var sink atomic.Uint64

func compute(n uint64) {
	number := uint64(1)
	for range n {
		number = number*6364136223846793005 + 1
	}
	if number == 0 {
		sink.Store(number)
	}
}

// calibrated returns how much computing takes as long as work on a CPU that has nothing else to do.
func calibrated() uint64 {
	const trial = 100_000
	fastest := time.Hour
	for range 200 {
		begin := time.Now()
		compute(trial)
		fastest = min(fastest, time.Since(begin))
	}
	return uint64(float64(trial) * float64(work) / float64(fastest))
}

func batch(n uint64) float64 {
	var all sync.WaitGroup
	all.Add(batchSize)
	begin := time.Now()
	for range batchSize {
		go func() {
			defer all.Done()
			compute(n)
		}()
	}
	all.Wait()
	return time.Since(begin).Seconds()
}

// cpuSeconds returns the CPU time of a process: see benches/support/process.rs.
func cpuSeconds(process int) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", process))
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return math.NaN()
	}
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100
}

type note struct {
	due  time.Time
	late time.Duration
}

func priorities(scene string) []float64 {
	n := calibrated()
	if scene == "alone" {
		return []float64{batch(n)}
	}
	var stop atomic.Bool
	notes := make(chan []note, tickers)
	for range tickers {
		go func() {
			seen := make([]note, 0, 1<<15)
			for !stop.Load() {
				due := time.Now().Add(tick)
				time.Sleep(tick)
				seen = append(seen, note{due, time.Since(due)})
			}
			notes <- seen
		}()
	}
	listener := listen()
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go answer(connection)
		}
	}()
	client := exec.Command(os.Getenv("SCOREBOARD_CLIENT"), "priorities-client", listener.Addr().String())
	in, err := client.StdinPipe()
	if err != nil {
		panic(err)
	}
	out, err := client.StdoutPipe()
	if err != nil {
		panic(err)
	}
	if err := client.Start(); err != nil {
		panic(err)
	}
	time.Sleep(rest)
	var waits []note
	waited := make(chan struct{})
	used := [2]float64{cpuSeconds(os.Getpid()), cpuSeconds(client.Process.Pid)}
	begin := time.Now()
	go func() {
		defer close(waited)
		for !stop.Load() {
			time.Sleep(pause)
			due := time.Now()
			done := make(chan struct{})
			go close(done)
			<-done
			waits = append(waits, note{due, time.Since(due)})
		}
	}()
	took := batch(n)
	end := time.Now()
	usedThen := [2]float64{cpuSeconds(os.Getpid()), cpuSeconds(client.Process.Pid)}
	in.Close()
	var trips []float64
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var at int64
		var nanos float64
		if _, err := fmt.Sscan(lines.Text(), &at, &nanos); err == nil && at >= begin.UnixNano() && at <= end.UnixNano() {
			trips = append(trips, nanos/1e6)
		}
	}
	_ = client.Wait()
	stop.Store(true)
	between := func(notes []note) (late []float64) {
		for _, note := range notes {
			if !note.due.Before(begin) && !note.due.After(end) {
				late = append(late, millis(note.late))
			}
		}
		return late
	}
	var late []float64
	for range tickers {
		late = append(late, between(<-notes)...)
	}
	<-waited
	awaited := between(waits)
	figures := []float64{took}
	for _, sorted := range [][]float64{late, trips} {
		sort.Float64s(sorted)
		for _, part := range []float64{0.5, 0.99, 0.999, 1} {
			figures = append(figures, quantile(sorted, part))
		}
	}
	for _, part := range []float64{0.5, 0.99, 1} {
		figures = append(figures, quantile(awaited, part))
	}
	for _, all := range [][]float64{awaited, late, trips} {
		figures = append(figures, float64(len(all)))
	}
	for who := range used {
		figures = append(figures, (usedThen[who]-used[who])/took)
	}
	return figures
}
