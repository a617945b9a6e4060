// Subscriptions by the SDK: what each callback is given, sorted where the order is nobody's promise.

import { client, email, password, step } from "./session.mjs";

const { EventSource } = await import(process.env.EVENTSOURCE);
globalThis.EventSource = EventSource;

const root = client();
const guest = client();
const anna = client();
await root.collection("_superusers").authWithPassword(email, password);

await step("collections", async () => {
  const tags = await root.collections.create({
    name: "tags",
    type: "base",
    viewRule: "",
    fields: [{ name: "t", type: "text" }],
  });
  await root.collections.create({
    name: "posts",
    type: "base",
    listRule: "public = true || owner = @request.auth.id",
    viewRule: "public = true || owner = @request.auth.id",
    fields: [
      { name: "title", type: "text" },
      { name: "public", type: "bool" },
      { name: "secret", type: "text", hidden: true },
      { name: "owner", type: "relation", collectionId: "_pb_users_auth_" },
      { name: "tag", type: "relation", collectionId: tags.id },
    ],
  });
  for (const name of ["anna", "bert"]) {
    await root.collection("users").create({
      id: `${name}00000000000`,
      email: `${name}@example.com`,
      password: "password1",
      passwordConfirm: "password1",
    });
  }
  await anna.collection("users").authWithPassword("anna@example.com", "password1");
});

// What was heard, until a mark that everyone can hear is among it.
const heard = [];
const listen = (name) => (e) => heard.push([name, e.action, e.record]);
let marks = 0;
async function settle() {
  const title = `mark ${++marks}`;
  const mark = await root.collection("posts").create({ title, public: true });
  const until = Date.now() + 15000;
  const marked = () => ["guest", "anna"].every((name) => heard.some((h) => h[0] === name && h[2].title === title));
  while (!marked() && Date.now() < until) await new Promise((r) => setTimeout(r, 10));
  await root.collection("posts").delete(mark.id);
  const gone = () => ["guest", "anna"].every((n) => heard.some((h) => h[0] === n && h[1] === "delete" && h[2].id === mark.id));
  while (!gone() && Date.now() < until) await new Promise((r) => setTimeout(r, 10));
  // Other subscriptions may hear of the same a little later.
  for (let known = -1; known !== heard.length; await new Promise((r) => setTimeout(r, 100))) known = heard.length;
  const rest = heard.splice(0).filter((h) => !(h[2].title ?? "").startsWith("mark "));
  const key = ([name, action, record]) => `${name} ${action} ${record.title} ${record.id}`;
  return rest.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

await step("subscribe", async () => {
  await guest.collection("posts").subscribe("*", listen("guest"));
  await anna.collection("posts").subscribe("*", listen("anna"));
  await anna.collection("posts").subscribe("*", listen("anna expands"), { expand: "tag,owner", fields: "title,expand" });
  await anna.collection("posts").subscribe("*", listen("anna filters"), { filter: "title ~ 'b'" });
  await root.collection("posts").subscribe("*", listen("root"));
  await root.collection("posts").subscribe("post00000000001", listen("root, one"));
  return [guest, anna, root].map((pb) => pb.realtime.isConnected);
});
await step("create", async () => {
  await root.collection("tags").create({ id: "tag000000000001", t: "one" });
  const owner = "anna00000000000";
  const posts = root.collection("posts");
  await posts.create({ id: "post00000000001", title: "about", owner, tag: "tag000000000001", secret: "s" });
  await posts.create({ id: "post00000000002", title: "nobody's" });
  await posts.create({ id: "post00000000003", title: "everybody's", public: true });
  return settle();
});
await step("update", async () => {
  await root.collection("posts").update("post00000000001", { title: "changed" });
  await root.collection("posts").update("post00000000002", { public: true });
  return settle();
});
await step("delete", async () => {
  await root.collection("posts").delete("post00000000001");
  await root.collection("posts").delete("post00000000003");
  return settle();
});
await step("unsubscribe one topic", async () => {
  await root.collection("posts").unsubscribe("*");
  await root.collection("posts").update("post00000000002", { title: "twice" });
  return settle();
});
await step("another user on the same connection", async () => {
  anna.authStore.clear();
  await anna.collection("users").authWithPassword("bert@example.com", "password1");
  await anna.collection("posts").subscribe("post00000000002", listen("bert"));
});
await step("unsubscribe all", async () => {
  await Promise.all([guest, anna, root].map((pb) => pb.realtime.unsubscribe()));
  return [guest, anna, root].map((pb) => pb.realtime.isConnected);
});
await step("custom topics and wrong subscriptions", async () => {
  await guest.realtime.subscribe("custom", () => {});
  const send = (body) =>
    guest.send("/api/realtime", { method: "POST", body }).then(
      () => "ok",
      (e) => [e.status, e.response],
    );
  const clientId = guest.realtime.clientId;
  return [
    await send({}),
    await send({ clientId: "unknown", subscriptions: [] }),
    await send({ clientId, subscriptions: ["x".repeat(2501)] }),
    await send({ clientId, subscriptions: ["posts/*"] }),
  ];
});
await guest.realtime.unsubscribe();
