// Go's gorilla/websocket, told what to do: one JSON object a line, in and out. See bridge.ts.
package main

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

type object map[string]interface{}

var telling sync.Mutex

func tell(event object) {
	telling.Lock()
	defer telling.Unlock()
	json.NewEncoder(os.Stdout).Encode(event)
}

func tellClose(err error) {
	if closed, ok := err.(*websocket.CloseError); ok {
		tell(object{"close": closed.Code, "reason": closed.Text})
	} else {
		tell(object{"close": 1006, "reason": ""})
	}
}

type command struct {
	Text   *string
	Binary []byte
	Ping   *string
	Close  int
	Reason string
}

func obey(socket *websocket.Conn) {
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			os.Exit(0)
		}
		var command command
		if err := json.Unmarshal(line, &command); err != nil {
			panic(err)
		}
		soon := time.Now().Add(10 * time.Second)
		switch {
		case command.Text != nil:
			socket.WriteMessage(websocket.TextMessage, []byte(*command.Text))
		case command.Binary != nil:
			socket.WriteMessage(websocket.BinaryMessage, command.Binary)
		case command.Ping != nil:
			socket.WriteControl(websocket.PingMessage, []byte(*command.Ping), soon)
		default:
			closing := websocket.FormatCloseMessage(command.Close, command.Reason)
			socket.WriteControl(websocket.CloseMessage, closing, soon)
		}
	}
}

func connect(url string, protocols []string) {
	dialer := websocket.Dialer{Subprotocols: protocols}
	socket, _, err := dialer.Dial(url, nil)
	if err != nil {
		panic(err)
	}
	socket.SetPongHandler(func(data string) error {
		tell(object{"pong": data})
		return nil
	})
	tell(object{"open": socket.Subprotocol()})
	go obey(socket)
	for {
		kind, data, err := socket.ReadMessage()
		if err != nil {
			tellClose(err)
			return
		}
		if kind == websocket.TextMessage {
			tell(object{"text": string(data)})
		} else {
			tell(object{"binary": data})
		}
	}
}

func serve(protocols []string) {
	upgrader := websocket.Upgrader{Subprotocols: protocols}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	tell(object{"port": listener.Addr().(*net.TCPAddr).Port})
	http.Serve(listener, http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		socket, err := upgrader.Upgrade(response, request, nil)
		if err != nil {
			return
		}
		defer socket.Close()
		for {
			kind, data, err := socket.ReadMessage()
			if err != nil {
				tellClose(err)
				return
			}
			switch string(data) {
			case "close me":
				closing := websocket.FormatCloseMessage(4009, "as asked")
				socket.WriteControl(websocket.CloseMessage, closing, time.Now().Add(10*time.Second))
			case "drop me":
				socket.UnderlyingConn().Close()
			default:
				socket.WriteMessage(kind, data)
			}
		}
	}))
}

func main() {
	if os.Args[1] == "connect" {
		connect(os.Args[2], os.Args[3:])
	} else {
		serve(os.Args[2:])
	}
}
