// Signing in with a provider: in one call, where this script plays the browser, and by hand.

import "./eventsource.mjs";
import { client, email, password, step } from "./session.mjs";

const openid = process.env.OPENID;
const root = client();
const pb = client();
await root.collection("_superusers").authWithPassword(email, password);

const provider = {
  name: "oidc",
  clientId: "cid",
  clientSecret: "csec",
  authURL: `${openid}/authorize`,
  tokenURL: `${openid}/token`,
  userInfoURL: `${openid}/userinfo`,
};
await root.collections.update("users", { oauth2: { enabled: true, providers: [provider] } });

// Follows every redirect, and tells where it ends.
let browsed;
const browser = (more = "") => async (url) => {
  let at = url + more;
  for (let hop = 0; hop < 5; hop++) {
    const answer = await fetch(at, { redirect: "manual" });
    browsed = { status: answer.status, location: answer.headers.get("location") };
    if (!browsed.location || browsed.location.includes("#")) return;
    at = new URL(browsed.location, at).href;
  }
};
const told = ({ meta, record, token }) => ({
  meta: { ...meta, accessToken: typeof meta.accessToken },
  record,
  signedIn: token === pb.authStore.token && pb.authStore.isValid,
});

await step("methods", async () => (await pb.collection("users").listAuthMethods()).oauth2.providers.map((p) => p.name));
await step("one call", async () =>
  told(await pb.collection("users").authWithOAuth2({ provider: "oidc", urlCallback: browser() })),
);
await step("where the browser ended", () => browsed);
await step("again", async () =>
  told(await pb.collection("users").authWithOAuth2({ provider: "oidc", urlCallback: browser() })),
);
await step("refresh", () => pb.collection("users").authRefresh());
await step("external auths", () => pb.collection("users").listExternalAuths(pb.authStore.record.id));

pb.authStore.clear();
const other = encodeURIComponent(JSON.stringify({ sub: "bob", name: "Bob", email: "bob@example.com", email_verified: true }));
await step("somebody else, with data of their own", async () =>
  told(
    await pb.collection("users").authWithOAuth2({
      provider: "oidc",
      createData: { emailVisibility: true, name: "Bobby" },
      urlCallback: browser(`&user=${other}`),
    }),
  ),
);
await step("refused at the provider", () =>
  pb.collection("users").authWithOAuth2({ provider: "oidc", urlCallback: browser("&fail=access_denied") }),
);
await step("where the browser ended then", () => browsed);
await step("missing provider", () =>
  pb.collection("users").authWithOAuth2({ provider: "google", urlCallback: browser() }),
);

// By hand, as an application with its own page to come back to does.
pb.authStore.clear();
const methods = await pb.collection("users").listAuthMethods();
const offer = methods.oauth2.providers[0];
const back = "https://app.example.com/back";
const answer = await fetch(offer.authURL + encodeURIComponent(back), { redirect: "manual" });
const returned = new URL(answer.headers.get("location"));
await step("state comes back", () => returned.searchParams.get("state") === offer.state);
const code = returned.searchParams.get("code");
await step("wrong verifier", () =>
  pb.collection("users").authWithOAuth2Code("oidc", code, "a verifier that nobody challenged with, at all", back),
);
const second = await fetch(offer.authURL + encodeURIComponent(back), { redirect: "manual" });
const fresh = new URL(second.headers.get("location")).searchParams.get("code");
await step("by code", async () =>
  told(await pb.collection("users").authWithOAuth2Code("oidc", fresh, offer.codeVerifier, back)),
);
await step("the same code", () => pb.collection("users").authWithOAuth2Code("oidc", fresh, offer.codeVerifier, back));

await step("unlink", () => pb.collection("users").unlinkExternalAuth(pb.authStore.record.id, "oidc"));
await step("nothing linked", () => pb.collection("users").listExternalAuths(pb.authStore.record.id));
process.exit(0);
