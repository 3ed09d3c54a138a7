import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;

/**
 * Asks ChatGPT through Func's authorization link. Java 11 or later, no packages.
 *
 * <pre>LINK=http://FUNC:8088/api/v1/al/LINK/simplified LINK_SECRET=… java Link.java</pre>
 */
public class Link {
    public static void main(String[] arguments) throws Exception {
        String body = "{\"question\": \"What is Guance?\", \"tags\": {\"team\": \"web\"}}";
        HttpRequest.Builder request =
                HttpRequest.newBuilder(URI.create(System.getenv("LINK")))
                        .timeout(Duration.ofSeconds(180)) // Func answers within that
                        .header("Content-Type", "application/json")
                        .POST(HttpRequest.BodyPublishers.ofString(body));
        String secret = System.getenv("LINK_SECRET");
        if (secret != null) {
            // The header of links that `guance-chatgpt-monitor install` has made.
            request.header("X-ChatGPT-Monitor-Secret", secret);
        }
        HttpResponse<String> response =
                HttpClient.newHttpClient().send(request.build(), HttpResponse.BodyHandlers.ofString());
        System.out.println(response.body());
        if (response.statusCode() != 200) {
            System.exit(1);
        }
    }
}
