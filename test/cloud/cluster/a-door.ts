/** Runs in a pod as a service's doors do: on the pod's loopback alone, with its health on a port that the kubelet reaches. */
import { createServer } from "node:http";
import { hostname } from "node:os";

const large = Buffer.alloc(1024 * 1024, "0123456789abcdef");

const doors = createServer((asked, answer) => {
  const { url = "" } = asked;
  if (url === "/v1/apis") answer.setHeader("content-type", "application/json").end('{"apis":[]}');
  else if (url === "/who") answer.end(hostname());
  else if (url === "/count") {
    let bytes = 0;
    asked.on("data", (piece: Buffer) => (bytes += piece.length));
    asked.on("end", () => answer.end(String(bytes)));
  } else if (url.startsWith("/large/")) {
    let left = Number(url.slice("/large/".length));
    const more = (): void => {
      while (left > 0) {
        left -= 1;
        if (!answer.write(large)) return void answer.once("drain", more);
      }
      answer.end();
    };
    more();
  } else answer.writeHead(404).end();
});
doors.listen(8877, "127.0.0.1");

let ready = true;
createServer((_asked, answer) => {
  answer.writeHead(ready && process.env["NEVER_READY"] === undefined ? 200 : 503).end();
}).listen(8878);

process.on("SIGTERM", () => {
  ready = false;
  doors.close(() => process.exit(0));
});
