// Files: FormData and File, addresses, thumbnails, tokens, modifiers and batches.

import { client, email, password, step } from "./session.mjs";

const root = client();
await step("superuser", () => root.collection("_superusers").authWithPassword(email, password));
await step("collection", () =>
  root.collections.create({
    name: "docs",
    type: "base",
    viewRule: "@request.auth.id != ''",
    createRule: "@request.auth.id != '' && @request.body.files:length < 3",
    updateRule: "@request.auth.id != ''",
    deleteRule: "@request.auth.id != ''",
    fields: [
      { name: "title", type: "text" },
      { name: "files", type: "file", maxSelect: 4, maxSize: 1000, mimeTypes: ["text/plain; charset=utf-8", "image/png"] },
      { name: "secret", type: "file", protected: true },
      { name: "photo", type: "file", thumbs: ["4x4"] },
    ],
  }),
);
await step("sign up", () =>
  root.collection("users").create({ email: "files@example.com", password: "secret1234", passwordConfirm: "secret1234" }),
);
const pb = client();
await step("sign in", () => pb.collection("users").authWithPassword("files@example.com", "secret1234"));

// One red dot.
const dot = Uint8Array.from(
  atob("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="),
  (c) => c.charCodeAt(0),
);
const text = (name, content) => new File([content], name, { type: "text/plain" });
const docs = pb.collection("docs");
const read = async (url) => {
  const answer = await fetch(url);
  return { status: answer.status, type: answer.headers.get("content-type"), text: await answer.text() };
};

let doc = await step("create from an object with files", () =>
  docs.create({
    id: "docsrecord00001",
    title: "first",
    files: [text("first file.txt", "one"), text("second file.txt", "two")],
    secret: text("hidden.txt", "only with a token"),
    photo: new File([dot], "red dot.png", { type: "image/png" }),
  }),
);
await step("create from a form", () => {
  const form = new FormData();
  form.append("title", "form");
  form.append("files", text("only file.txt", "one"));
  return docs.create(form);
});
await step("too many for the rule", () =>
  docs.create({ files: [text("aaaa.txt", "1"), text("bbbb.txt", "2"), text("cccc.txt", "3")] }),
);
await step("too large", () => docs.create({ files: [text("large.txt", "x".repeat(1001))] }));
await step("of a wrong kind", () => docs.create({ files: [text("page.txt", "<html></html>")] }));

await step("address", () => pb.files.getURL(doc, doc.files[0]).replace(pb.baseURL, ""));
await step("read", () => read(pb.files.getURL(doc, doc.files[0])));
await step("download", () => pb.files.getURL(doc, doc.files[0], { download: true }).replace(pb.baseURL, ""));
await step("thumbnail", async () => {
  const answer = await fetch(pb.files.getURL(doc, doc.photo, { thumb: "4x4" }));
  return { status: answer.status, type: answer.headers.get("content-type"), name: answer.headers.get("content-disposition") };
});
await step("secret without a token", () => read(pb.files.getURL(doc, doc.secret)));
const token = await step("token", () => pb.files.getToken());
await step("secret", () => read(pb.files.getURL(doc, doc.secret, { token })));
await step("secret with a login", () => read(pb.files.getURL(doc, doc.secret, { token: pb.authStore.token })));
await step("token for nobody", () => client().files.getToken());

doc = await step("append", () => docs.update(doc.id, { "files+": text("third file.txt", "three") }));
doc = await step("prepend", () => docs.update(doc.id, { "+files": [text("zeroth file.txt", "zero")] }));
await step("one too many", () => docs.update(doc.id, { "files+": text("fifth file.txt", "five") }));
const gone = pb.files.getURL(doc, doc.files[1]);
doc = await step("remove", () => docs.update(doc.id, { "files-": [doc.files[1], doc.files[2]] }));
await step("removed", () => read(gone));
doc = await step("reorder", () => docs.update(doc.id, { files: [...doc.files].reverse() }));
doc = await step("replace", () => docs.update(doc.id, { files: [text("other file.txt", "other")] }));
doc = await step("clear", () => docs.update(doc.id, { files: [], secret: null, photo: "" }));

await step("batch on", async () => (await root.settings.update({ batch: { enabled: true, maxRequests: 10, timeout: 30 } })).batch);
const results = await step("batch", async () => {
  const batch = pb.createBatch();
  batch.collection("docs").create({ title: "in a batch", files: [text("batch file.txt", "one"), text("more files.txt", "two")] });
  batch.collection("docs").update(doc.id, { "files+": text("batch file.txt", "three") });
  return batch.send();
});
await step("read of the batch", () => read(pb.files.getURL(results[0].body, results[0].body.files[1])));
await step("delete", () => docs.delete(doc.id));
await step("deleted", () => read(pb.files.getURL(results[1].body, results[1].body.files[0])));
