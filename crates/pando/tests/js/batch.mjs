// Batches of the official SDK: all of their requests or none.

import { PocketBase, email, password, step, url } from "./session.mjs";

const root = new PocketBase(url);
await root.collection("_superusers").authWithPassword(email, password);
await root.settings.update({ batch: { enabled: true, maxRequests: 20, timeout: 20 } });
await root.collections.create({
  name: "notes",
  type: "base",
  listRule: "",
  viewRule: "",
  createRule: "",
  updateRule: "",
  deleteRule: "",
  fields: [
    { name: "title", type: "text", required: true },
    { name: "n", type: "number" },
    { name: "doc", type: "file", maxSelect: 3 },
  ],
});

const pb = new PocketBase(url);
const shape = (all) => all.map(({ status, body }) => ({ status, title: body?.title, n: body?.n, files: body?.doc?.length }));

await step("create, update, upsert, delete", async () => {
  const batch = pb.createBatch();
  batch.collection("notes").create({ id: "sdkbatch0000001", title: "one", doc: [new File(["text"], "a.txt")] });
  batch.collection("notes").update("sdkbatch0000001", { "n+": 2 });
  batch.collection("notes").upsert({ id: "sdkbatch0000001", title: "changed" });
  batch.collection("notes").upsert({ id: "sdkbatch0000002", title: "two" });
  batch.collection("notes").create({ id: "sdkbatch0000003", title: "three" }, { fields: "title" });
  batch.collection("notes").delete("sdkbatch0000003");
  return shape(await batch.send());
});
await step("what is there", async () => {
  const all = await pb.collection("notes").getFullList({ sort: "id", fields: "id,title,n" });
  return all.map(({ id, title, n }) => ({ id, title, n }));
});
await step("one fails and so do all", async () => {
  const batch = pb.createBatch();
  batch.collection("notes").create({ title: "lost" });
  batch.collection("notes").create({ title: "" });
  try {
    return await batch.send();
  } catch (error) {
    return { status: error.status, response: error.response };
  }
});
await step("nothing was written", async () => (await pb.collection("notes").getList(1, 1)).totalItems);
await step("an empty batch", async () => {
  try {
    return await pb.createBatch().send();
  } catch (error) {
    return { status: error.status, response: error.response };
  }
});
