// What every session of the official SDK starts with. A session prints one line of JSON per step; a failing step
// prints its error and the session goes on. Arguments: address, superuser's email and password.

import { readFile } from "node:fs/promises";

const sdk = await import(process.env.POCKETBASE_SDK);
export const { default: PocketBase, isTokenExpired, getTokenPayload } = sdk;
export const [url, email, password] = process.argv.slice(2);

const MAIL_WAIT_MS = 20_000;
const taken = new Set();

// Settings that send mails to the SMTP server beside the test.
export const smtp = { enabled: true, host: "127.0.0.1", port: Number(process.env.SMTP_PORT) };

// The next mail to that reader: `{to, subject, html, text}`.
export async function mail(to) {
  const until = Date.now() + MAIL_WAIT_MS;
  while (Date.now() < until) {
    const lines = (await readFile(process.env.MAILS, "utf8")).split("\n").slice(0, -1);
    const at = lines.findIndex((line, i) => !taken.has(i) && JSON.parse(line).to.includes(to));
    if (at >= 0) {
      taken.add(at);
      return JSON.parse(lines[at]);
    }
    await new Promise((done) => setTimeout(done, 20));
  }
  throw new Error(`no mail to ${to}`);
}

export function client() {
  const pb = new PocketBase(url);
  pb.autoCancellation(false);
  return pb;
}

export async function step(name, run) {
  let line;
  try {
    line = { step: name, result: (await run()) ?? null };
  } catch (e) {
    line = { step: name, error: { status: e.status, response: e.response, isAbort: e.isAbort, message: e.message } };
  }
  console.log(JSON.stringify(line));
  return line.result;
}
