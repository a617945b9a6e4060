// What every session of the official SDK starts with. A session prints one line of JSON per step; a failing step
// prints its error and the session goes on. Arguments: address, superuser's email and password.

const sdk = await import(process.env.POCKETBASE_SDK);
export const { default: PocketBase, isTokenExpired, getTokenPayload } = sdk;
export const [url, email, password] = process.argv.slice(2);

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
