// Listeners ask for /events. Each line of standard input says how many events to publish.
import { createServer } from "node:http";
import { createInterface } from "node:readline";

const payload = process.argv.at(-1);
const listeners = new Set();
const server = createServer((request, response) => {
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  response.write(":\n\n");
  listeners.add(response);
  response.on("close", () => listeners.delete(response));
});
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  console.log(server.address().port);
});

let number = 0;
createInterface({ input: process.stdin })
  .on("line", (line) => {
    const count = parseInt(line, 10);
    for (let published = 0; published < count; published += 1) {
      number += 1;
      const block = `event: posted\nid: b5ba5b60d003.${number}\ndata: ${payload}\n\n`;
      for (const response of listeners) response.write(block);
    }
  })
  .on("close", () => process.exit());
