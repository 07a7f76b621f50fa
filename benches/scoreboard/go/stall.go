// What a goroutine that blocks or computes does to the others.
package main

import (
	"bufio"
	"fmt"
	"math"
	"net"
	"os"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	tickers = 100
	tick    = time.Millisecond
	calm    = 50 * time.Millisecond
)

type ticks struct {
	stop atomic.Bool
	mu   sync.Mutex
	at   []time.Time
	late []time.Duration
}

func startTicks(n int) *ticks {
	t := new(ticks)
	for range n {
		go func() {
			for !t.stop.Load() {
				deadline := time.Now().Add(tick)
				time.Sleep(tick)
				late := time.Since(deadline)
				t.mu.Lock()
				t.at = append(t.at, deadline)
				t.late = append(t.late, late)
				t.mu.Unlock()
			}
		}()
	}
	return t
}

// lateBetween returns the lateness, in milliseconds, of the ticks that were due in this time.
func (t *ticks) lateBetween(begin, end time.Time) []float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	var late []float64
	for i, at := range t.at {
		if !at.Before(begin) && !at.After(end) {
			late = append(late, millis(t.late[i]))
		}
	}
	return late
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func quantile(figures []float64, q float64) float64 {
	if len(figures) == 0 {
		return math.NaN()
	}
	sort.Float64s(figures)
	return figures[int(float64(len(figures)-1)*q)]
}

// block blocks the thread in a system call; time.Sleep would only park the goroutine.
func block() {
	duration := syscall.NsecToTimespec(int64(100 * time.Millisecond))
	_ = syscall.Nanosleep(&duration, nil)
}

func spin() {
	for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); {
		for range 1000 {
		}
	}
}

func atOnce(n int, misbehave func()) {
	var all sync.WaitGroup
	for range n {
		all.Add(1)
		go func() {
			defer all.Done()
			misbehave()
		}()
	}
	all.Wait()
}

func lateness(n int, misbehave func()) []float64 {
	var late []float64
	for run := range 4 {
		t := startTicks(tickers)
		time.Sleep(calm)
		begin := time.Now()
		atOnce(n, misbehave)
		end := time.Now()
		time.Sleep(calm)
		t.stop.Store(true)
		if run > 0 {
			late = append(late, t.lateBetween(begin, end)...)
		}
	}
	return []float64{quantile(late, 0.5), quantile(late, 0.99)}
}

func threads() float64 { return status("Threads:") }

func storm() []float64 {
	t := startTicks(tickers)
	time.Sleep(calm)
	begin := time.Now()
	most := 0.0
	for range 3 {
		atOnce(200, block)
		most = max(most, threads())
	}
	end := time.Now()
	time.Sleep(calm)
	t.stop.Store(true)
	late := t.lateBetween(begin, end)
	return []float64{quantile(late, 0.99), millis(end.Sub(begin)), most}
}

func stuck() []float64 {
	listener := listen()
	go func() {
		c, err := listener.Accept()
		if err == nil {
			answer(c)
		}
	}()
	// The client is a process of its own, so that it needs no processor of this one.
	trips := startClient(listener.Addr().String())
	t := startTicks(1)
	time.Sleep(calm)
	var stop atomic.Bool
	for range runtime.GOMAXPROCS(0) {
		go func() {
			for !stop.Load() {
			}
		}()
	}
	begin := time.Now()
	time.Sleep(500 * time.Millisecond)
	end := time.Now()
	stop.Store(true)
	time.Sleep(calm)
	late := t.lateBetween(begin, end)
	echo := trips()
	return []float64{quantile(echo, 0.99), quantile(echo, 1), quantile(late, 0.99), quantile(late, 1)}
}

// startClient starts the echo client. What it returns waits for its end and gives its round trips.
func startClient(addr string) func() []float64 {
	read, write, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	this, _ := os.Executable()
	process, err := os.StartProcess(this, []string{this, "client", addr}, &os.ProcAttr{
		Files: []*os.File{nil, write, os.Stderr},
	})
	if err != nil {
		panic(err)
	}
	write.Close()
	return func() []float64 {
		var trips []float64
		for lines := bufio.NewScanner(read); lines.Scan(); {
			var trip float64
			if _, err := fmt.Sscan(lines.Text(), &trip); err == nil {
				trips = append(trips, trip)
			}
		}
		_, _ = process.Wait()
		return trips
	}
}

func client(addr string) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		panic(err)
	}
	buffer := make([]byte, 64)
	var trips []float64
	for begin := time.Now(); time.Since(begin) < calm+500*time.Millisecond; time.Sleep(tick) {
		sent := time.Now()
		_, _ = c.Write(buffer)
		_, _ = c.Read(buffer)
		if time.Since(begin) > calm {
			trips = append(trips, millis(time.Since(sent)))
		}
	}
	for _, trip := range trips {
		fmt.Println(trip)
	}
}
