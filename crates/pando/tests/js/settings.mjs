// Settings, the request log and health, as the SDK speaks of them.

import { client, email, password, step } from "./session.mjs";

const root = client();
const pb = client();

await root.collection("_superusers").authWithPassword(email, password);
// The two products have names and colours of their own.
await step("settings: names", () => root.settings.update({ meta: { appName: "Acme", accentColor: "#123456" } }));
await step("settings: nobody", () => pb.settings.getAll());
await step("settings: all", () => root.settings.getAll());
await step("settings: fields", () => root.settings.getAll({ fields: "meta.appName,logs" }));
await step("settings: one group", () => root.settings.update({ logs: { maxDays: 7 } }, { fields: "logs" }));
await step("settings: wrong", () => root.settings.update({ logs: { maxDays: -1 }, s3: { enabled: true } }));
await step("settings: FormData", () => {
  const form = new FormData();
  form.append("meta.appName", "From a form");
  form.append("logs.logAuthId", "true");
  form.append("trustedProxy.headers", "X-Real-IP");
  form.append("trustedProxy.headers", "X-Forwarded-For");
  return root.settings.update(form);
});
await step("settings: back", () =>
  root.settings.update({ meta: { appName: "Acme" }, logs: { logAuthId: false }, trustedProxy: { headers: [] } }),
);
await step("settings: a secret is kept", async () => {
  const s3 = { enabled: true, bucket: "b", region: "r", endpoint: "http://127.0.0.1:1", accessKey: "k", secret: "s" };
  const backups = { s3 };
  const set = await root.settings.update({ backups });
  const { s3: shown } = set.backups;
  // What was read is sent back, as a form in a page would.
  const again = await root.settings.update({ backups: { s3: { ...shown, bucket: "c" } } });
  return [shown, again.backups.s3];
});
await step("settings: off again", () => root.settings.update({ backups: { s3: null } }, { fields: "backups" }));
await step("settings: test of S3", () => root.settings.testS3("storage"));
await step("settings: test of a mail", () => root.settings.testEmail("users", "nobody", "otp"));
await step("settings: Apple", () => root.settings.generateAppleClientSecret("c", "t", "k", "x", 10));

await step("health: nobody", () => pb.health.check());
await step("health: superuser", () => root.health.check());

await pb.send("/api/collections/users/records", { query: { mark: "sdk" }, headers: { "User-Agent": "session" } });
await pb.send("/api/nowhere", { query: { mark: "sdk" } }).catch(() => {});
await step("logs: nobody", () => pb.logs.getList());
const filter = "data.url ~ 'mark=sdk'";
const fields = "message,level,data.status,data.type";
for (let tries = 0; tries < 400; tries++) {
  if ((await root.logs.getList(1, 1, { filter })).totalItems === 2) break;
  await new Promise((resolve) => setTimeout(resolve, 50));
}
await step("logs: list", () => root.logs.getList(1, 10, { filter, fields, sort: "@rowid" }));
await step("logs: page", () => root.logs.getList(2, 1, { filter, fields, sort: "-level" }));
await step("logs: one", async () => {
  const [one] = (await root.logs.getList(1, 1, { filter, sort: "@rowid" })).items;
  const found = await root.logs.getOne(one.id, { fields });
  // The ids of the request and of the node are additions of Pando's.
  const data = Object.keys(one.data).filter((key) => !["requestId", "node"].includes(key));
  return { found, keys: Object.keys(one).sort(), data: data.sort() };
});
await step("logs: missing", () => root.logs.getOne("missing"));
await step("logs: no id", () => root.logs.getOne(""));
await step("logs: stats", async () => (await root.logs.getStats({ filter })).map((hour) => hour.total));
await step("logs: stats, wrong filter", () => root.logs.getStats({ filter: "nope = 1" }));
await step("crons", async () => (await root.crons.getFullList()).every((cron) => cron.id && cron.expression));
