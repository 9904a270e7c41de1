// mcs Bot.cs -r:System.Net.Http; mono Bot.exe URL USER: one session by .NET's HttpClient.
using System;
using System.Net.Http;
using System.Text;

static class Bot {
    static readonly HttpClient http = new HttpClient();
    static string url;

    static string Post(string path, string body, int wanted) {
        var content = new StringContent(body, Encoding.UTF8, "application/json");
        var answer = http.PostAsync(url + "/api/bots/" + path, content).Result;
        var text = answer.Content.ReadAsStringAsync().Result;
        if ((int)answer.StatusCode != wanted) throw new Exception(path + ": " + answer.StatusCode + " " + text);
        return text;
    }

    static void Main(string[] args) {
        url = args[0];
        var started = Post("start", "{\"user_id\":\"" + args[1] + "\"}", 201);
        var name = "\"session_id\":\"" + started.Split(new[] {"\"session_id\":\""}, 0)[1].Split('"')[0] + "\"";
        Post("heartbeat", "{" + name + "}", 200);
        Post("trades", "{" + name + ",\"symbol\":\"BTC/USDT\",\"side\":\"buy\",\"quantity\":\"1\",\"price\":\"100\"}", 201);
        Post("stop", "{" + name + "}", 200);
        Console.WriteLine("stopped");
    }
}
