// The application's own queues by the official SDK: its `send`, and its subscriptions.

import { PocketBase, client, email, password, step, url } from "./session.mjs";

const { EventSource } = await import(process.env.EVENTSOURCE);
globalThis.EventSource = EventSource;

const root = new PocketBase(url);
await root.collection("_superusers").authWithPassword(email, password);
const pb = client();
const post = (path, body) => pb.send(`/api/queues/orders/${path}`, { method: "POST", body });

await step("publish", async () => {
  const one = await post("publish", { subject: "orders.eu.created", data: { total: 1 } });
  const two = await post("publish", { messages: [{ subject: "orders.eu.paid", data: { total: 1 } }] });
  return [one.duplicate, two.messages.length];
});
await step("pull and ack", async () => {
  const { messages } = await post("groups/mail/pull", { max: 10, waitMs: 1000 });
  const all = [];
  for (const { data, receipt } of messages) {
    const { settled } = await post("groups/mail/ack", { receipts: [receipt] });
    all.push({ total: data.total, settled });
  }
  return all;
});
await step("read", async () => {
  const { messages } = await pb.send("/api/queues/orders/read", { method: "GET", query: { from: "first" } });
  return messages.map(({ subject }) => subject);
});
await step("events", async () => {
  const seen = [];
  await new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error("no event")), 30000);
    pb.realtime
      .subscribe("queues/orders/orders.us.*", ({ message }) => {
        seen.push(message.subject);
        resolve();
      })
      .then(() => post("publish", { subject: "orders.us.created" }))
      .catch(reject);
  });
  await pb.realtime.unsubscribe();
  return seen;
});
process.exit(0);
