// The OpenAPI document against a real validator and against the server itself: what it says of bodies is what the
// server accepts, and what it says of answers is what the server gives. Prints what was checked; ends with an error
// at the first lie. Arguments: address, superuser's email and password, the file of collections.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.env.VALIDATORS}/`);
const { validate, compileErrors } = await import(pathToFileURL(require.resolve("@readme/openapi-parser")));
const { default: Ajv } = require("ajv/dist/2020.js");
const { default: addFormats } = require("ajv-formats");

const [url, email, password, collectionsFile] = process.argv.slice(2);

let checks = 0;
function check(truth, ...what) {
  checks += 1;
  if (!truth) {
    console.error(...what.map((part) => (typeof part === "string" ? part : JSON.stringify(part, null, 1))));
    process.exit(1);
  }
}

async function send(method, path, { body, form, token, headers = {} } = {}) {
  const init = { method, headers: { ...headers } };
  if (token) init.headers.Authorization = token;
  if (form) init.body = form;
  else if (body !== undefined) {
    init.headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  const response = await fetch(url + path, init);
  const text = await response.text();
  let json;
  try {
    json = JSON.parse(text);
  } catch {}
  return { status: response.status, type: response.headers.get("content-type"), etag: response.headers.get("etag"), text, json };
}

const login = async (collection, identity, secret) => {
  const answer = await send("POST", `/api/collections/${collection}/auth-with-password`, { body: { identity, password: secret } });
  check(answer.status === 200, "login", answer);
  return answer.json.token;
};

const pointer = (...parts) => parts.map((part) => "/" + encodeURIComponent(String(part).replaceAll("~", "~0").replaceAll("/", "~1"))).join("");

// A document with what it says of requests and answers made executable.
class Document {
  constructor(json) {
    this.json = json;
    this.operations = new Map();
    for (const [path, item] of Object.entries(json.paths)) {
      for (const [method, operation] of Object.entries(item)) {
        if (method === "parameters") continue;
        check(!this.operations.has(operation.operationId), "an operation id twice", operation.operationId);
        check(/^\w+$/.test(operation.operationId), "an odd operation id", operation.operationId);
        this.operations.set(operation.operationId, { path, method, operation });
      }
    }
    this.ajv = new Ajv({ strict: false, allErrors: true, ownProperties: true });
    addFormats(this.ajv);
    const closed = structuredClone(json);
    // Beyond what the document promises: nothing is in an answer that it does not name.
    for (const [name, schema] of Object.entries(closed.components.schemas)) {
      const isInput = /\.(create|update)/.test(name) || name === "pb.CollectionInput" || name === "pb.Violation";
      if (schema.properties && !isInput && !["pb.Field", "pb.AuthMethods"].includes(name)) schema.additionalProperties = false;
      if (schema.properties?.expand) schema.properties.expand.additionalProperties = false;
    }
    this.ajv.addSchema({ ...closed, $id: "document" });
    this.compiled = new Map();
  }

  errors(at, value) {
    if (!this.compiled.has(at)) this.compiled.set(at, this.ajv.compile({ $ref: `document#${at}` }));
    const validator = this.compiled.get(at);
    return validator(value) ? null : validator.errors;
  }

  schemaErrors(name, value) {
    return this.errors(pointer("components", "schemas", name), value);
  }

  // Sends one request of an operation; its answer must be one that the document names.
  async call(id, { params = {}, query = "", ...rest } = {}) {
    const found = this.operations.get(id);
    check(found, "no operation", id);
    const { path, method, operation } = found;
    const address = path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(params[name] ?? "nope"));
    const answer = await send(method.toUpperCase(), address + query, rest);
    called.add(id);
    let at = pointer("paths", path, method, "responses");
    const known = operation.responses[answer.status];
    check(known || answer.status >= 400, "an answer that is not described", id, answer);
    at += pointer(known ? answer.status : "default");
    let response = known ?? operation.responses.default;
    if (response.$ref) {
      at = response.$ref.slice(1);
      response = this.json.components.responses[at.split("/").pop()];
    }
    const media = response.content?.["application/json"];
    if (media) {
      check(answer.type?.startsWith("application/json"), "no JSON", id, answer);
      const errors = this.errors(at + pointer("content", "application/json", "schema"), answer.json);
      check(!errors, "an answer that the document denies", id, answer, errors ?? []);
    } else if (!response.content) {
      check(answer.text === "", "an answer where none is described", id, answer);
    }
    return answer;
  }
}

const called = new Set();
const read = async (token, headers) => send("GET", "/api/openapi.json", { token, headers });

const root = await login("_superusers", email, password);
const imported = await send("PUT", "/api/collections/import", {
  token: root,
  body: { collections: JSON.parse(readFileSync(collectionsFile, "utf8")) },
});
check(imported.status === 204, "import", imported);

// Accounts of both roles.
const account = (name, role) => ({ email: `${name}@example.com`, password: "1234567890", passwordConfirm: "1234567890", name, role });
const people = {};
for (const [name, role] of [["ed", "editor"], ["rita", "reader"]]) {
  const made = await send("POST", "/api/collections/people/records", { token: root, body: account(name, role) });
  check(made.status === 200, "account", made);
  people[name] = { id: made.json.id, token: await login("people", account(name).email, "1234567890") };
}

// Everyone's own document is valid.
const documents = {};
for (const [name, token] of [["root", root], ["guest", undefined], ["ed", people.ed.token], ["rita", people.rita.token]]) {
  const answer = await read(token);
  check(answer.status === 200, name, answer);
  const result = await validate(structuredClone(answer.json));
  check(result.valid, name, result.valid ? "" : compileErrors(result));
  documents[name] = new Document(answer.json);

  const again = await read(token, { "If-None-Match": answer.etag });
  check(again.status === 304 && again.text === "", "it has not changed", again);
  const other = await read(token, { "If-None-Match": '"other"' });
  check(other.status === 200 && other.text === answer.text, "the same text");
}
const { root: all, guest, ed, rita } = documents;

// Each is told of what may succeed, and of no more.
const told = (document, id) => document.operations.has(id);
for (const [id, readers] of [
  ["every_thing_list", [all, guest, ed, rita]],
  ["every_thing_create", [all, ed, rita]],
  ["every_thing_update", [all, ed]],
  // A record without an author is anyone's: an empty field equals a missing account.
  ["every_thing_delete", [all, guest, ed, rita]],
  ["tallies_list", [all, guest, ed, rita]],
  ["tallies_view", [all, ed, rita]],
  ["tallies_create", []],
  ["people_update", [all, ed, rita]],
  ["closed_list", [all]],
  ["people_authWithPassword", [all, guest, ed, rita]],
  ["people_authWithOTP", [all, guest, ed, rita]],
  ["people_authWithOAuth2", []],
  ["people_impersonate", [all]],
  ["notes_authRefresh", []],
  ["cards_update", [all]],
  ["settings", [all]],
  ["batch", [all, guest, ed, rita]],
]) {
  for (const [name, document] of Object.entries(documents)) {
    check(told(document, id) === readers.includes(document), id, "for", name);
  }
}
for (const document of [guest, ed, rita]) {
  const text = JSON.stringify(document.json);
  for (const secret of ["closed", "secret", "hidden_about", "tokenKey", "@request.auth", "What it is called", "pb.Settings", "impersonate", "_superusers"]) {
    check(!text.includes(secret), "tells", secret, text.slice(Math.max(0, text.indexOf(secret) - 200), text.indexOf(secret) + 50));
  }
}
check(JSON.stringify(all.operations.get("every_thing_list").operation.security) === '[{},{"token":[]}]', "no login to list");
check(JSON.stringify(all.operations.get("every_thing_create").operation.security) === '[{"token":[]}]', "a login to create");

// What it says of values is what the server says of them.
const base = { title: "A title", weight: 1, agreed: true, due: "2026-01-01 10:00:00.000Z", mood: "good" };
const creates = async (body) => {
  const answer = await all.call("every_thing_create", { token: root, body });
  if (answer.status === 200) {
    await all.call("every_thing_view", { params: { id: answer.json.id }, query: "?expand=author,readers,kin", token: root });
    if (body.id !== "keptkeptkeptkep") await all.call("every_thing_delete", { params: { id: answer.json.id }, token: root });
  }
  return answer;
};
const first = await creates({ ...base, id: "keptkeptkeptkep", author: people.ed.id, readers: [people.ed.id, people.rita.id] });
check(first.status === 200, "the record that others refer to", first);
const second = (await all.call("every_thing_create", { token: root, body: base })).json;

const values = {
  id: ["", "abcdefghijklmno", "short", "ABCDEFGHIJKLMNO", "abcdefghijklmnop"],
  title: ["", "a", "ab", "é".repeat(80), "a".repeat(81)],
  code: ["", "AB1", "ab1", "AB", "ABC1"],
  slug: ["", "abc", "a".repeat(5000), "a".repeat(5001)],
  story: ["", "<p>x</p>", "a".repeat(5000), "a".repeat(5001)],
  count: [0, 1, 100, 101, -1, 1.5],
  ratio: [0, 0.4, 0.5, 2, 2.1, -1],
  weight: [0, -5, 0.001],
  agreed: [true, false],
  delete: [true, false],
  mail: ["", "a@example.com", "a@example.org", "no address"],
  home: ["", "https://example.com/a?b=c#d", "with space"],
  due: ["", "2026-01-01 10:00:00.000Z", "2026-01-01T10:00:00Z", "2026-01-01"],
  done: ["", "2026-01-01 10:00:00.000Z"],
  kind: ["", "plain", "\"quoted\" \\ 'x'", "ünï", "other"],
  mood: ["good", "", "other"],
  tags: [[], ["a"], ["a", "b"], ["a", "b", "c"], ["other"]],
  author: ["", people.ed.id],
  readers: [[], [people.ed.id], [people.ed.id, people.rita.id]],
  kin: [[], [second.id], [second.id, first.json.id]],
  meta: [null, 1, "text", [], { a: [1, { b: null }] }, true],
  secret: ["", "s"],
  pin: ["", "123", "1234", "a".repeat(71), "a".repeat(72)],
  place: [{ lon: 0, lat: 0 }, { lon: 180, lat: -90 }, { lon: 181, lat: 0 }, { lon: 0, lat: -91 }],
  "2nd": ["", "x"],
  constructor: ["x"],
};
for (const [field, list] of Object.entries(values)) {
  for (const value of list) {
    const body = { ...base, [field]: value };
    const errors = all.schemaErrors("every_thing.create", body);
    const answer = await creates(body);
    check((answer.status === 200) === !errors, "told and done differ", field, value, answer, errors ?? []);
    const update = field === "id" ? null : all.schemaErrors("every_thing.update", { [field]: value });
    if (field !== "id") {
      const changed = await all.call("every_thing_update", { params: { id: second.id }, token: root, body: { [field]: value } });
      check((changed.status === 200) === !update, "told and done differ in an update", field, value, changed, update ?? []);
    }
  }
}
const writable = Object.keys(all.json.components.schemas["every_thing.create"].properties);
const untried = writable.filter((field) => !(field in values && Object.hasOwn(values, field)));
check(untried.join() === "odd_code,cover,papers", "fields that were not tried", untried);
for (const field of Object.keys(base)) {
  const { [field]: _, ...rest } = base;
  check(all.schemaErrors("every_thing.create", rest), "may be left out", field);
  check((await creates(rest)).status === 400, "could be left out", field);
}

// Modifiers, which the same schema holds.
for (const [body, see] of [
  [{ tags: ["a"] }, (record) => record.tags.join() === "a"],
  [{ "tags+": "b" }, (record) => record.tags.join() === "a,b"],
  [{ "tags-": ["a"] }, (record) => record.tags.join() === "b"],
  [{ "+tags": ["a"] }, (record) => record.tags.join() === "a,b"],
  [{ count: 5 }, (record) => record.count === 5],
  [{ "count+": 2 }, (record) => record.count === 7],
  [{ "count-": 3 }, (record) => record.count === 4],
  [{ "slug:autogenerate": "s-" }, (record) => /^s-[a-z]{6}$/.test(record.slug)],
]) {
  for (const key of Object.keys(body)) {
    check(key in all.json.components.schemas["every_thing.update"].properties, "not described", key);
  }
  check(!all.schemaErrors("every_thing.update", body), "denied", body);
  const answer = await all.call("every_thing_update", { params: { id: second.id }, token: root, body });
  check(answer.status === 200 && see(answer.json), "not done", body, answer);
}

// Relations both ways, as everyone sees them.
const note = await all.call("notes_create", { token: root, body: { text: "n", about: first.json.id, hidden_about: first.json.id } });
await all.call("cards_create", { token: root, body: { of: first.json.id } });
await all.call("closed_create", { token: root, body: { of: first.json.id } });
await all.call("people_update", { params: { id: people.ed.id }, token: root, body: { best: first.json.id } });
for (const [name, document] of Object.entries(documents)) {
  const token = name === "root" ? root : people[name]?.token;
  const expand = Object.keys(document.json.components.schemas.every_thing.properties.expand.properties);
  check(expand.includes("cards_via_of") && expand.includes("notes_via_about") && expand.includes("author"), name, expand);
  const query = `?expand=${[...expand, "author.best", "notes_via_about.about"].join(",")}`;
  const seen = await document.call("every_thing_view", { params: { id: first.json.id }, query, token });
  check(Object.keys(seen.json.expand ?? {}).length >= 4, "expanded", seen);
  check(!Array.isArray(seen.json.expand.cards_via_of) && Array.isArray(seen.json.expand.notes_via_about), "one and many", seen);
  for (const id of ["every_thing_list", "people_list", "notes_list", "tallies_list", "myPosts_list", "my_posts_list", "2fa_logs_list"]) {
    const list = await document.call(id, { query: `?perPage=5&sort=-id${id.startsWith("every") ? query.replace("?", "&") : ""}`, token });
    check(list.status === 200, list);
    await document.call(id, { query: "?skipTotal=1&filter=id!=''", token });
    await document.call(id, { query: "?filter=(", token });
  }
}
await all.call("tallies_view", { params: { id: first.json.id }, token: root });
await rita.call("notes_update", { params: { id: note.json.id }, body: { text: "m" }, token: people.rita.token });

// Logins.
const secret = { identity: account("ed").email, password: "1234567890" };
for (const document of [all, guest, ed]) {
  check(!document.errors(pointer("paths", "/api/collections/people/auth-with-password", "post", "requestBody", "content", "application/json", "schema"), secret), "login body");
  check((await document.call("people_authWithPassword", { body: secret, query: "?expand=best" })).status === 200, "login");
  await document.call("people_authWithPassword", { body: { ...secret, password: "wrong" } });
  await document.call("people_authMethods");
}
check((await ed.call("people_authRefresh", { token: people.ed.token })).status === 200, "refresh");
await all.call("people_impersonate", { params: { id: people.ed.id }, token: root, body: { duration: 60 } });
const fresh = { email: "new@example.com", password: "1234567890", passwordConfirm: "1234567890" };
check(!guest.schemaErrors("people.create", fresh), "a new account");
check((await guest.call("people_create", { body: fresh })).status === 200, "a new account");
for (const missing of Object.keys(fresh)) {
  const { [missing]: _, ...rest } = { ...fresh, email: "x@example.com", [missing]: undefined };
  check(guest.schemaErrors("people.create", rest) && (await guest.call("people_create", { body: rest })).status === 400, "needed", missing);
}

// What accounts are sent, and logins that need more than one method.
for (const [id, body, token] of [
  ["people_requestOTP", { email: account("ed").email }],
  ["people_requestVerification", { email: account("ed").email }],
  ["people_requestPasswordReset", { email: account("ed").email }],
  ["people_requestEmailChange", { newEmail: "other@example.com" }, people.ed.token],
]) {
  const answer = await ed.call(id, { body, token });
  check(answer.status < 300 || answer.status === 501, id, answer);
}
const mfa = await send("PATCH", "/api/collections/people", { token: root, body: { mfa: { enabled: true, duration: 600, rule: "" } } });
check(mfa.status === 200, mfa);
const stricter = new Document((await read()).json);
const half = await stricter.call("people_authWithPassword", { body: secret });
check((half.status === 401 && half.json.mfaId) || half.status === 403, "half a login", half);

// Several writes at once.
const batching = await all.call("updateSettings", { token: root, body: { batch: { enabled: true, maxRequests: 50, timeout: 30 } } });
if (batching.status === 200) {
  const requests = [
    { method: "POST", url: "/api/collections/notes/records", body: { id: "batchbatchbatch", text: "b", about: first.json.id } },
    { method: "PATCH", url: "/api/collections/notes/records/batchbatchbatch", body: { text: "c" } },
    { method: "DELETE", url: "/api/collections/notes/records/batchbatchbatch" },
  ];
  check(!all.schemaErrors("pb.Batch", { requests }), "a batch");
  const done = await all.call("batch", { token: root, body: { requests } });
  check(done.status === 501 || (done.status === 200 && done.json.length === 3), "a batch", done);
  const broken = await all.call("batch", { token: root, body: { requests: [requests[0], requests[0]] } });
  check(broken.status === 501 || broken.status === 400, "a broken batch", broken);
}

// Files, as forms; a part that is not built says so.
if ((await send("GET", "/api/files/every_thing/x/y.png")).status !== 501) {
  const png = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");
  const form = (more) => {
    const out = new FormData();
    for (const [name, value] of [...Object.entries(base), ...more]) out.append(name, value instanceof Blob ? value : String(value));
    return out;
  };
  const { properties } = all.json.components.schemas["every_thing.create.form"];
  check(properties.cover.format === "binary" && properties.papers.items.format === "binary", "files are binary", properties);
  const picture = new File([png], "x.png", { type: "image/png" });
  const text = new File(["text"], "x.txt", { type: "text/plain" });
  const stored = await all.call("every_thing_create", { token: root, form: form([["cover", picture], ["papers", text], ["papers", text]]) });
  check(stored.status === 200 && stored.json.cover && stored.json.papers.length === 2, "files", stored);
  const wrongType = await all.call("every_thing_create", { token: root, form: form([["cover", text]]) });
  check(wrongType.status === 400, "another type of file", wrongType);
  const tooLarge = new File([new Uint8Array(properties.papers.items.maxLength + 1)], "large.bin");
  check((await all.call("every_thing_create", { token: root, form: form([["papers", tooLarge]]) })).status === 400, "too large");
  const params = { id: stored.json.id, filename: stored.json.cover };
  check((await guest.call("every_thing_download", { params, query: "?thumb=50x50" })).status === 200, "a download");
  const hidden = { id: stored.json.id, filename: stored.json.papers[0] };
  // The view rule is open to everyone, so that a protected file is too.
  check((await guest.call("every_thing_download", { params: hidden })).status === 200, "a protected file");
  const { token } = (await all.call("fileToken", { token: root })).json;
  check((await all.call("every_thing_download", { params: hidden, query: `?token=${token}` })).status === 200, "with a token");
  const change = { "papers-": stored.json.papers[0], cover: "" };
  check(!all.schemaErrors("every_thing.update", change), "files taken out");
  const fewer = await all.call("every_thing_update", { token: root, params, body: change });
  check(fewer.json.papers.length === 1 && fewer.json.cover === "", "files taken out", fewer);
}

// Everything that is described, asked with nothing right: whatever comes back is described too.
for (const document of [all, guest]) {
  const token = document === all ? root : undefined;
  for (const [id, { method }] of document.operations) {
    // A stream, and what would change the server under the other checks.
    if (["realtimeConnect", "truncateLogs", "createBackup"].includes(id)) continue;
    const body = method === "get" ? undefined : { nonsense: true };
    await document.call(id, { token, body, params: { collection: "nope" } });
    if (token) await document.call(id, { body, params: { collection: "nope" } });
  }
}
const silent = [...all.operations.keys()].filter((id) => !called.has(id));
check(silent.sort().join() === "createBackup,realtimeConnect,truncateLogs", "never called", silent);

// A changed schema is another document.
const before = (await read()).etag;
const changed = await send("PATCH", "/api/collections/myPosts", { token: root, body: { listRule: null } });
check(changed.status === 200, changed);
const after = await read();
check(after.etag !== before && !after.json.paths["/api/collections/myPosts/records"], "an older document");

console.log(`${checks} checks, ${all.operations.size} operations`);
