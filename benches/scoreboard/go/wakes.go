package main

import (
	"context"
	"runtime"
	"sync"
	"syscall"
	"time"
)

func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// timersCPU returns CPU nanoseconds per goroutine that sleeps once.
func timersCPU() []float64 {
	const timers = 100_000
	before := cpuTime()
	var all sync.WaitGroup
	all.Add(timers)
	for n := range timers {
		go func() {
			defer all.Done()
			time.Sleep(time.Duration(1_000+n*7919%timers*99/100) * time.Microsecond)
		}()
	}
	all.Wait()
	return []float64{float64((cpuTime() - before).Nanoseconds()) / timers}
}

func timerLateness() []float64 {
	var all sync.WaitGroup
	var mu sync.Mutex
	var late []float64
	for task := range 10 {
		all.Add(1)
		go func() {
			defer all.Done()
			var own []float64
			for n := range 200 {
				d := time.Duration(1_000+(task*200+n)*2_741%8_000) * time.Microsecond
				begin := time.Now()
				time.Sleep(d)
				own = append(own, micros(time.Since(begin)-d))
			}
			mu.Lock()
			defer mu.Unlock()
			late = append(late, own...)
		}()
	}
	all.Wait()
	return []float64{quantile(late, 0.5), quantile(late, 0.99)}
}

// timeouts returns nanoseconds per deadline around something that is ready, and per timer armed and stopped.
func timeouts() []float64 {
	const count = 100_000
	ready := make(chan struct{})
	close(ready)
	timeout := perOperation(count, func() {
		for range count {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			select {
			case <-ready:
			case <-ctx.Done():
				panic("late")
			}
			cancel()
		}
	})
	arm := perOperation(160_000, func() {
		atOnce(8, func() {
			for range 20_000 {
				time.NewTimer(time.Second).Stop()
			}
		})
	})
	return append(timeout, arm...)
}

// blocking returns nanoseconds per goroutine of a batch, and microseconds of one alone.
func blocking() []float64 {
	batch := perOperation(20_000, func() { spawnJoin(20_000) })
	var each []float64
	for range 2_000 {
		begin := time.Now()
		done := make(chan struct{})
		go close(done)
		<-done
		each = append(each, micros(time.Since(begin)))
	}
	return append(batch, quantile(each, 0.5))
}

// idle returns CPU milliseconds in two seconds of nothing, and CPU microseconds per tick of one goroutine.
func idle() []float64 {
	atOnce(100, func() {})
	time.Sleep(100 * time.Millisecond)
	before := cpuTime()
	time.Sleep(2 * time.Second)
	idle := cpuTime() - before
	before = cpuTime()
	for range 1_000 {
		time.Sleep(time.Millisecond)
	}
	return []float64{millis(idle), micros(cpuTime()-before) / 1_000}
}

// foreignWake returns microseconds from a send by a goroutine that owns its thread to its receipt.
func foreignWake() []float64 {
	channel := make(chan time.Time, 1)
	go func() {
		runtime.LockOSThread()
		nap := syscall.NsecToTimespec(int64(time.Millisecond))
		for range 1_000 {
			_ = syscall.Nanosleep(&nap, nil)
			channel <- time.Now()
		}
		close(channel)
	}()
	var late []float64
	for sent := range channel {
		late = append(late, micros(time.Since(sent)))
	}
	return []float64{quantile(late, 0.5), quantile(late, 0.99)}
}
