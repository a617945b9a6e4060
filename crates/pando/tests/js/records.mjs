// A tour of collections, records and logins.

import { client, email, getTokenPayload, isTokenExpired, password, step } from "./session.mjs";

const root = client();
const pb = client();

await step("health", () => pb.health.check());
await step("superuser, wrong password", () => root.collection("_superusers").authWithPassword(email, "wrong"));
await step("superuser", () => root.collection("_superusers").authWithPassword(email, password));
await step("store", () => ({
  valid: root.authStore.isValid,
  superuser: root.authStore.isSuperuser,
  expired: isTokenExpired(root.authStore.token),
  claims: Object.keys(getTokenPayload(root.authStore.token)).sort(),
}));
await step("superuser refresh", () => root.collection("_superusers").authRefresh());

const categories = await step("create collection", () =>
  root.collections.create({
    name: "categories",
    type: "base",
    listRule: "",
    viewRule: "",
    fields: [{ name: "name", type: "text", required: true }],
  }),
);
await step("create collection with relation", () =>
  root.collections.create({
    name: "articles",
    type: "base",
    listRule: "public = true || owner = @request.auth.id",
    viewRule: "public = true || owner = @request.auth.id",
    createRule: "@request.auth.id != '' && owner = @request.auth.id",
    updateRule: "owner = @request.auth.id",
    deleteRule: "owner = @request.auth.id",
    fields: [
      { name: "title", type: "text", required: true, max: 50 },
      { name: "public", type: "bool" },
      { name: "score", type: "number" },
      { name: "tags", type: "select", values: ["a", "b", "c"], maxSelect: 3 },
      { name: "category", type: "relation", collectionId: categories?.id },
      { name: "owner", type: "relation", collectionId: "_pb_users_auth_", cascadeDelete: true },
      { name: "meta", type: "json" },
      { name: "day", type: "date" },
      { name: "created", type: "autodate", onCreate: true },
    ],
    indexes: ["CREATE INDEX idx_articles_score ON articles (score)"],
  }),
);
await step("collection exists", () => root.collections.create({ name: "articles", type: "base" }));
await step("collections list", () => root.collections.getList(1, 3, { sort: "name" }));
await step("collections full list", async () =>
  (await root.collections.getFullList({ sort: "name" })).map((c) => c.name),
);
await step("collection one", () => root.collections.getOne("articles"));
await step("collection first", () => root.collections.getFirstListItem("name = 'categories'"));
await step("collection update", () => root.collections.update("categories", { updateRule: "@request.auth.id != ''" }));
await step("scaffolds", async () => Object.keys(await root.collections.getScaffolds()).sort());

const one = await step("category", () => root.collection("categories").create({ id: "category0000001", name: "one" }));
await step("category two", () => root.collection("categories").create({ id: "category0000002", name: "two" }));

await step("sign up", () =>
  pb.collection("users").create({
    email: "sdk@example.com",
    password: "secret1234",
    passwordConfirm: "secret1234",
    name: "Sdk",
    emailVisibility: true,
  }),
);
await step("sign up again", () =>
  pb.collection("users").create({ email: "sdk@example.com", password: "secret1234", passwordConfirm: "secret1234" }),
);
await step("auth methods", () => pb.collection("users").listAuthMethods());
await step("sign in, wrong", () => pb.collection("users").authWithPassword("sdk@example.com", "wrong"));
await step("sign in", () => pb.collection("users").authWithPassword("sdk@example.com", "secret1234"));
await step("refresh", () => pb.collection("users").authRefresh());
const me = pb.authStore.record?.id;

for (let i = 1; i <= 25; i++) {
  const id = `article${String(i).padStart(8, "0")}`;
  await step(`create ${i}`, () =>
    pb.collection("articles").create({
      id,
      title: `Article ${i} ${i % 5 === 0 ? "it's \"quoted\" \\ 100%" : ""}`.trim(),
      public: i % 2 === 0,
      score: i * 1.5,
      tags: ["a", "b", "c"].slice(0, i % 4),
      category: i % 3 === 0 ? "category0000002" : one?.id,
      owner: me,
      meta: { i, nested: { even: i % 2 === 0 } },
      day: new Date(Date.UTC(2024, 0, i, 1, 2, 3, 4)),
    }),
  );
}
await step("create invalid", () => pb.collection("articles").create({ owner: me, title: "x".repeat(51) }));
await step("create for another", () => pb.collection("articles").create({ title: "x", owner: "someoneelse0001" }));

const articles = pb.collection("articles");
await step("list", () => articles.getList(1, 5, { sort: "-score" }));
await step("list, page 3", () => articles.getList(3, 10, { sort: "score", fields: "id,score" }));
await step("list, skip total", () => articles.getList(1, 2, { sort: "score", skipTotal: true }));
await step("full list", async () => (await articles.getFullList({ sort: "id", batch: 7 })).map((r) => r.id));
await step("first", () => articles.getFirstListItem("score > 10", { sort: "score", expand: "category,owner" }));
await step("first, none", () => articles.getFirstListItem("score > 1000"));
await step("one", () => articles.getOne("article00000003", { expand: "category,owner", fields: "*,expand.category.name" }));
await step("one, missing", () => articles.getOne("missing00000000"));
await step("one, empty id", () => articles.getOne(""));
for (const [name, filter] of [
  ["text", pb.filter("title = {:t}", { t: "Article 5 it's \"quoted\" \\ 100%" })],
  ["like", pb.filter("title ~ {:t}", { t: "it's" })],
  ["number", pb.filter("score >= {:n} && score < {:m}", { n: 9, m: 15.5 })],
  ["bool", pb.filter("public = {:b} && category.name = {:c}", { b: true, c: "two" })],
  ["date", pb.filter("day > {:d}", { d: new Date(Date.UTC(2024, 0, 20)) })],
  ["null", pb.filter("meta.missing = {:x} && score < 4", { x: null })],
  ["json", pb.filter("meta.nested.even = {:x}", { x: true })],
  ["each", "tags:each ?= 'c' && tags:length > 2"],
  ["malformed", "score >"],
]) {
  await step(`filter ${name}: ${filter}`, async () =>
    (await articles.getFullList({ filter, sort: "id", fields: "id" })).map((r) => r.id),
  );
}
await step("back relation", () =>
  root.collection("categories").getList(1, 10, {
    sort: "id",
    filter: "articles_via_category.score ?> 30",
    expand: "articles_via_category",
    fields: "id,name,expand.articles_via_category.id",
  }),
);
await step("update", () => articles.update("article00000001", { title: "Changed", "score+": 5, "tags+": ["c"] }));
await step("update, invalid", () => articles.update("article00000001", { title: "" }));
await step("update, form data", () => {
  const form = new FormData();
  form.append("title", "From a form");
  form.append("score", "7.25");
  form.append("tags", "a");
  form.append("tags", "b");
  form.append("meta", JSON.stringify({ form: true }));
  return articles.update("article00000002", form);
});
await step("headers and query", () => articles.getList(1, 1, { sort: "id", query: { x: 1 }, headers: { "X-Test": "1" } }));

const anonymous = client();
await step("anonymous list", async () =>
  (await anonymous.collection("articles").getFullList({ sort: "id", fields: "id" })).map((r) => r.id),
);
await step("anonymous view", () => anonymous.collection("articles").getOne("article00000001"));
await step("anonymous update", () => anonymous.collection("articles").update("article00000002", { title: "x" }));
await step("anonymous delete", () => anonymous.collection("articles").delete("article00000002"));
await step("anonymous create", () => anonymous.collection("articles").create({ title: "x" }));
await step("anonymous collections", () => anonymous.collections.getList());

await step("delete", () => articles.delete("article00000002"));
await step("delete again", () => articles.delete("article00000002"));
await step("change password", () =>
  pb.collection("users").update(me, { oldPassword: "secret1234", password: "changed1234", passwordConfirm: "changed1234" }),
);
await step("after change", () => pb.collection("users").authRefresh());
await step("sign in anew", () => pb.collection("users").authWithPassword("sdk@example.com", "changed1234"));
await step("impersonate", async () => {
  const client = await root.collection("users").impersonate(me, 3600);
  return (await client.collection("articles").getList(1, 1, { sort: "id" })).totalItems;
});
await step("delete account", () => pb.collection("users").delete(me));
await step("store after delete", () => ({ valid: pb.authStore.isValid, record: pb.authStore.record }));
await step("cascade", () => root.collection("articles").getList(1, 5));
await step("truncate", () => root.collections.truncate("categories"));
await step("delete collection in use", () => root.collections.delete("categories"));
await step("delete collection", () => root.collections.delete("articles"));
await step("import", () =>
  root.collections.import([{ name: "imported", type: "base", fields: [{ name: "a", type: "text" }] }]),
);
await step("imported", () => root.collections.getOne("imported"));
