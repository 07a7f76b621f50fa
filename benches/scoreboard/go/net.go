package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sort"
	"strconv"
	"sync"
)

func listen() net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	return listener
}

// echo sends 64-byte messages to and fro. Go sets TCP_NODELAY by itself.
func echo(connections, trips int) {
	listener := listen()
	defer listener.Close()
	var all sync.WaitGroup
	all.Add(2 * connections)
	go func() {
		for range connections {
			connection, err := listener.Accept()
			if err != nil {
				panic(err)
			}
			go func() {
				defer all.Done()
				defer connection.Close()
				answer(connection)
			}()
		}
	}()
	for range connections {
		go func() {
			defer all.Done()
			connection, err := net.Dial("tcp", listener.Addr().String())
			if err != nil {
				panic(err)
			}
			defer connection.Close()
			buffer := make([]byte, 64)
			for range trips {
				if _, err := connection.Write(buffer); err != nil {
					panic(err)
				}
				if _, err := io.ReadFull(connection, buffer); err != nil {
					panic(err)
				}
			}
		}()
	}
	all.Wait()
}

func answer(connection net.Conn) {
	buffer := make([]byte, 1024)
	for {
		n, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if _, err := connection.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// serverCPU returns CPU nanoseconds per request to a server that says hello.
func serverCPU() []float64 {
	const connections, warmUp, requests = 64, 100, 1_500
	listener := listen()
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello world")
	})
	go func() { _ = http.Serve(listener, hello) }()
	ask := func(requests int) {
		command := exec.Command(os.Getenv("SCOREBOARD_CLIENT"), "--client", listener.Addr().String(), strconv.Itoa(requests))
		command.Stderr = os.Stderr
		if err := command.Run(); err != nil {
			panic(err)
		}
	}
	ask(warmUp)
	var figures []float64
	for range 3 {
		before := cpuTime()
		ask(requests)
		figures = append(figures, float64((cpuTime()-before).Nanoseconds())/float64(connections*requests))
	}
	sort.Float64s(figures)
	return figures[1:2]
}
