// java Bot.java URL USER: one session by java.net.http, which offers `Upgrade: h2c` with its first request.
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;

public class Bot {
    static final HttpClient http = HttpClient.newHttpClient();
    static String url;

    static String post(String path, String body, int wanted) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url + "/api/bots/" + path))
            .header("Content-Type", "application/json").POST(BodyPublishers.ofString(body)).build();
        HttpResponse<String> answer = http.send(request, BodyHandlers.ofString());
        if (answer.statusCode() != wanted) throw new Exception(path + ": " + answer.statusCode() + " " + answer.body());
        return answer.body();
    }

    public static void main(String[] args) throws Exception {
        url = args[0];
        String session = post("start", "{\"user_id\":\"" + args[1] + "\"}", 201).split("\"session_id\":\"")[1].split("\"")[0];
        String name = "\"session_id\":\"" + session + "\"";
        post("heartbeat", "{" + name + "}", 200);
        post("trades", "{" + name + ",\"symbol\":\"BTC/USDT\",\"side\":\"buy\",\"quantity\":\"1\",\"price\":\"100\"}", 201);
        post("stop", "{" + name + "}", 200);
        System.out.println("stopped");
    }
}
