// Stays subscribed over a crash of the server, by the SDK's own means. Ends with its standard input.

import { client } from "./session.mjs";

const { EventSource } = await import(process.env.EVENTSOURCE);
globalThis.EventSource = EventSource;

const pb = client();
await pb.realtime.subscribe("PB_CONNECT", () => console.log("connected"));
await pb.collection("pub").subscribe("*", (e) => console.log(`heard ${e.record.n}`));
console.log("subscribed");
for await (const _ of process.stdin) break;
process.exit(0);
