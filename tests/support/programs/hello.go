package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

func main() {
	fmt.Println("hello from Go")
	var wg sync.WaitGroup
	sums := make(chan int, 100)
	for i := 0; i < 100; i++ {
		wg.Add(1)
		go func(n int) {
			defer wg.Done()
			sum := 0
			for j := 0; j < 100000; j++ {
				sum += j % (n + 1)
			}
			sums <- sum
		}(i)
	}
	wg.Wait()
	total := 0
	for i := 0; i < 100; i++ {
		total += <-sums
	}
	fmt.Println("goroutines:", total)
	var keep [][]byte
	for i := 0; i < 2000; i++ {
		b := make([]byte, 64<<10)
		b[i%len(b)] = byte(i)
		if i%200 == 0 {
			keep = append(keep, b)
		}
	}
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	fmt.Println("collected:", stats.NumGC > 0, len(keep))
	start := time.Now()
	ticker := time.NewTicker(5 * time.Millisecond)
	for i := 0; i < 3; i++ {
		<-ticker.C
	}
	select {
	case <-time.After(20 * time.Millisecond):
	}
	fmt.Println("timers:", time.Since(start) >= 35*time.Millisecond)
	spin := make(chan bool)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-spin:
				return
			default:
			}
		}
	}()
	time.Sleep(10 * time.Millisecond)
	close(spin)
	func() {
		defer func() { fmt.Println("recovered:", recover()) }()
		var p *int
		*p = 1
	}()
	debug.FreeOSMemory()
	fmt.Println("done")
}
