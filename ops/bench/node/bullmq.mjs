// No-op jobs through BullMQ: `node bullmq.mjs work|produce PORT COUNT`. Prints one line of JSON at its end.
import { Queue, Worker } from "bullmq";

const [, , what, port, count] = process.argv;
const connection = { host: "127.0.0.1", port: Number(port), maxRetriesPerRequest: null };
const total = Number(count);
const say = (told) => process.stdout.write(JSON.stringify(told) + "\n");

if (what === "produce") {
  const queue = new Queue("bench", { connection });
  await queue.waitUntilReady();
  const jobs = Array.from({ length: total }, (_, n) => {
    const data = { userId: "user-" + (n % 97), conversationId: "conversation-" + (n % 1000), message: "" };
    data.message = "x".repeat(150 - JSON.stringify(data).length);
    return { name: "no-op", data };
  });
  const began = Date.now();
  for (let at = 0; at < total; at += 1000) await queue.addBulk(jobs.slice(at, at + 1000));
  say({ began, produced: Date.now() });
  await queue.close();
} else {
  let done = 0;
  const worker = new Worker("bench", async () => null, { connection, concurrency: 200 });
  await worker.waitUntilReady();
  say({ ready: Date.now() });
  await new Promise((resolve) => worker.on("completed", () => ++done === total && resolve()));
  const used = process.cpuUsage();
  say({ ended: Date.now(), cpu_s: (used.user + used.system) / 1e6 });
  await worker.close();
}
