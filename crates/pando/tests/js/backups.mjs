// Backups through the official SDK. The restore itself is tested apart, as it ends the server that answers.

import { PocketBase, email, password, step, url } from "./session.mjs";

const root = new PocketBase(url);
await root.collection("_superusers").authWithPassword(email, password);
const names = async () => (await root.backups.getFullList()).map(({ key }) => key);
const failing = async (work) => {
  try {
    return await work();
  } catch (error) {
    return { status: error.status, data: error.response.data };
  }
};

await step("create", async () => root.backups.create("first.zip"));
await step("a taken name", async () => failing(() => root.backups.create("first.zip")));
await step("a wrong name", async () => failing(() => root.backups.create("First.zip")));
await step("list", names);
let bytes;
await step("download", async () => {
  const token = await root.files.getToken();
  const response = await fetch(root.backups.getDownloadURL(token, "first.zip"));
  bytes = await response.arrayBuffer();
  const head = String.fromCharCode(...new Uint8Array(bytes.slice(0, 2)));
  return { status: response.status, type: response.headers.get("content-type"), head };
});
await step("upload", async () => root.backups.upload({ file: new File([bytes], "second.zip") }));
await step("no archive", async () => {
  const outcome = await failing(() => root.backups.upload({ file: new File(["text"], "third.zip") }));
  return { status: outcome.status, code: outcome.data.file.code };
});
await step("list both", names);
await step("restore what is not there", async () => (await failing(() => root.backups.restore("none.zip"))).status);
await step("delete", async () => root.backups.delete("first.zip"));
await step("delete again", async () => (await failing(() => root.backups.delete("first.zip"))).status);
await step("list one", names);
