// go run bot.go URL USER: one session by net/http.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

func post(path string, body map[string]any, wanted int) map[string]any {
	sent, _ := json.Marshal(body)
	answer, err := http.Post(os.Args[1]+"/api/bots/"+path, "application/json", strings.NewReader(string(sent)))
	if err != nil {
		panic(err)
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != wanted {
		panic(fmt.Sprint(path, ": ", answer.StatusCode, " ", string(text)))
	}
	var found map[string]any
	if json.Unmarshal(text, &found) != nil {
		panic(string(text))
	}
	return found
}

func main() {
	started := post("start", map[string]any{"user_id": os.Args[2]}, 201)
	id := started["session"].(map[string]any)["session_id"]
	post("heartbeat", map[string]any{"session_id": id}, 200)
	post("trades", map[string]any{"session_id": id, "symbol": "BTC/USDT", "side": "buy", "quantity": "1", "price": "100"}, 201)
	post("stop", map[string]any{"session_id": id}, 200)
	fmt.Println("stopped")
}
