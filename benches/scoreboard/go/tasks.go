package main

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func spawnJoin(count int) {
	var all sync.WaitGroup
	all.Add(count)
	for range count {
		go all.Done()
	}
	all.Wait()
}

func fanOut(spawners, each int) {
	var all sync.WaitGroup
	for range spawners {
		all.Add(1)
		go func() {
			defer all.Done()
			spawnJoin(each)
		}()
	}
	all.Wait()
}

func chained(depth int) {
	done := make(chan struct{}, 1)
	var link func(left int)
	link = func(left int) {
		if left == 0 {
			done <- struct{}{}
			return
		}
		go link(left - 1)
	}
	go link(depth)
	<-done
}

func pingPong(pairs, trips int) {
	var all sync.WaitGroup
	for range pairs {
		ping, pong := make(chan int, 1), make(chan int, 1)
		all.Add(2)
		go func() {
			defer all.Done()
			for token := range ping {
				pong <- token
			}
		}()
		go func() {
			defer all.Done()
			for trip := range trips {
				ping <- trip
				if <-pong != trip {
					panic("a token of another trip")
				}
			}
			close(ping)
		}()
	}
	all.Wait()
}

func yields(tasks, times int) {
	var all sync.WaitGroup
	for range tasks {
		all.Add(1)
		go func() {
			defer all.Done()
			for range times {
				runtime.Gosched()
			}
		}()
	}
	all.Wait()
}

// remoteSpawn starts goroutines from others that own their threads.
func remoteSpawn(threads, each int) {
	var left atomic.Int64
	left.Store(int64(threads * each))
	done := make(chan struct{})
	for range threads {
		go func() {
			runtime.LockOSThread()
			for range each {
				go func() {
					if left.Add(-1) == 0 {
						close(done)
					}
				}()
			}
		}()
	}
	<-done
}

func skynet(leaves int) {
	var node func(sum chan<- int, first, leaves int)
	node = func(sum chan<- int, first, leaves int) {
		if leaves == 1 {
			sum <- first
			return
		}
		step, children, total := leaves/10, make(chan int, 10), 0
		for n := range 10 {
			go node(children, first+n*step, step)
		}
		for range 10 {
			total += <-children
		}
		sum <- total
	}
	root := make(chan int, 1)
	go node(root, 0, leaves)
	if <-root != leaves*(leaves-1)/2 {
		panic("a wrong sum")
	}
}

// parked returns nanoseconds to spawn and to release, and bytes, each per goroutine.
func parked() []float64 {
	const tasks = 1_000_000
	gate, parked, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var waiting, left atomic.Int64
	left.Store(tasks)
	before := residentBytes()
	begin := time.Now()
	for range tasks {
		go func() {
			if waiting.Add(1) == tasks {
				close(parked)
			}
			<-gate
			if left.Add(-1) == 0 {
				close(done)
			}
		}()
	}
	<-parked
	spawn := time.Since(begin)
	bytes := residentBytes() - before
	begin = time.Now()
	close(gate)
	<-done
	release := time.Since(begin)
	each := func(total float64) float64 { return total / tasks }
	return []float64{each(float64(spawn.Nanoseconds())), each(float64(release.Nanoseconds())), each(bytes)}
}

func residentBytes() float64 { return status("VmRSS:") * 1024 }

// status returns a number of /proc/self/status.
func status(name string) float64 {
	text, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, name); found {
			number, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return number
		}
	}
	return 0
}
