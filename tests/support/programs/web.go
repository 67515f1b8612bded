// A server and its clients: both in one program, "serve ADDRESS", or "get URL...".
package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

var client = http.Client{Timeout: 20 * time.Second}

func main() {
	http.HandleFunc("/", func(to http.ResponseWriter, asked *http.Request) {
		body, _ := io.ReadAll(asked.Body)
		fmt.Fprintf(to, "%s %s %d", asked.Method, asked.URL.Path, len(body))
	})
	switch {
	case len(os.Args) > 2 && os.Args[1] == "serve":
		fmt.Println(http.ListenAndServe(os.Args[2], nil))
	case len(os.Args) > 2 && os.Args[1] == "get":
		for _, url := range os.Args[2:] {
			answer, err := client.Get(url)
			if err != nil {
				fmt.Println(err)
				continue
			}
			size, err := io.Copy(os.Stdout, answer.Body)
			answer.Body.Close()
			fmt.Println(answer.StatusCode, size, err)
		}
	default:
		within()
	}
}

func within() {
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(listener, nil)
	var all sync.WaitGroup
	answers := make([]string, 8)
	for i := range answers {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			url := fmt.Sprintf("http://%s/%d", listener.Addr(), i)
			answer, err := client.Post(url, "text/plain", bytes.NewReader(make([]byte, i*100000)))
			if err != nil {
				panic(err)
			}
			text, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			answers[i] = string(text)
		}(i)
	}
	all.Wait()
	for _, each := range answers {
		fmt.Println(each)
	}
	one, _ := net.ListenPacket("udp", "[::1]:0")
	two, err := net.Dial("udp", one.LocalAddr().String())
	if err != nil {
		panic(err)
	}
	two.Write([]byte("datagram"))
	buffer := make([]byte, 100)
	size, from, _ := one.ReadFrom(buffer)
	fmt.Println(string(buffer[:size]), from.String() == two.LocalAddr().String())
	_, err = net.DialTimeout("tcp", "192.0.2.1:80", time.Second)
	fmt.Println(err)
	names, err := net.LookupHost("localhost")
	fmt.Println(len(names) > 0, err)
}
