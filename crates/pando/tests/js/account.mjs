// Accounts by way of the mailbox: verification, password reset, email change, one-time passwords and two factors.

import { client, email, getTokenPayload, mail, password, smtp, step } from "./session.mjs";

const root = client();
const pb = client();
const users = pb.collection("users");

const ANNA = "anna@example.com";
const token = async (to) => (await mail(to)).html.match(/\/(eyJ[\w.-]+)/)[1];
const code = async (to) => (await mail(to)).html.match(/<strong>(\d+)<\/strong>/)[1];
const claims = (text) => {
  const { exp, ...rest } = getTokenPayload(text);
  return { ...rest, lasts: Math.round((exp - Date.now() / 1000) / 60) };
};

await step("superuser", async () => {
  await root.collection("_superusers").authWithPassword(email, password);
});
await step("settings", async () => {
  const meta = { appName: "Acme", appURL: "https://acme.test", senderName: "Acme", senderAddress: "acme@acme.test" };
  const { meta: set } = await root.settings.update({ smtp, meta });
  return [set.appName, set.appURL, set.senderAddress];
});
await step("alerts off", async () => {
  await root.collections.update("users", { authAlert: { enabled: false } });
});
await step("sign up", () =>
  users.create({ email: ANNA, password: "secret1234", passwordConfirm: "secret1234", name: "Anna" }),
);

await step("request verification", () => users.requestVerification(ANNA));
let mailed;
await step("verification mail", async () => claims((mailed = await token(ANNA))));
await step("confirm verification, wrong", () => users.confirmVerification("abc"));
await step("sign in", () => users.authWithPassword(ANNA, "secret1234"));
await step("confirm verification", async () => ({
  done: await users.confirmVerification(mailed),
  verified: pb.authStore.record.verified,
}));

await step("request reset", () => users.requestPasswordReset(ANNA));
await step("reset mail", async () => claims((mailed = await token(ANNA))));
await step("confirm reset, short", () => users.confirmPasswordReset(mailed, "short", "short"));
await step("confirm reset, different", () => users.confirmPasswordReset(mailed, "changed1234", "changed4321"));
await step("confirm reset", () => users.confirmPasswordReset(mailed, "changed1234", "changed1234"));
await step("confirm reset again", () => users.confirmPasswordReset(mailed, "again12345", "again12345"));
await step("the old token", () => users.authRefresh());
await step("the old password", () => users.authWithPassword(ANNA, "secret1234"));
await step("the new password", () => users.authWithPassword(ANNA, "changed1234"));

await step("request change, own address", () => users.requestEmailChange(ANNA));
await step("request change", () => users.requestEmailChange("new@example.com"));
await step("change mail", async () => claims((mailed = await token("new@example.com"))));
await step("confirm change, wrong password", () => users.confirmEmailChange(mailed, "wrong"));
await step("confirm change", async () => ({
  done: await users.confirmEmailChange(mailed, "changed1234"),
  valid: pb.authStore.isValid,
}));
await step("the old address", () => users.authWithPassword(ANNA, "changed1234"));
await step("the new address", () => users.authWithPassword("new@example.com", "changed1234"));

await step("codes off", () => users.requestOTP("new@example.com"));
await step("codes on", async () => {
  await root.collections.update("users", { otp: { enabled: true, duration: 120, length: 6 } });
  return users.listAuthMethods();
});
const asked = await step("request code", () => users.requestOTP("new@example.com"));
await step("code of nobody", () => users.requestOTP("nobody@example.com"));
let number;
await step("code mail", async () => (number = await code("new@example.com")).length);
await step("code, wrong", () => users.authWithOTP(asked?.otpId, "000"));
await step("code", () => users.authWithOTP(asked?.otpId, number));
await step("code again", () => users.authWithOTP(asked?.otpId, number));

await step("two factors", async () => {
  await root.collections.update("users", { mfa: { enabled: true, duration: 600 } });
  return users.listAuthMethods();
});
let mfaId;
await step("first factor", async () => {
  try {
    await users.authWithPassword("new@example.com", "changed1234");
  } catch (e) {
    mfaId = e.response?.mfaId;
    throw e;
  }
});
await step("the same factor", () => users.authWithPassword("new@example.com", "changed1234", { mfaId }));
const second = await step("second code", () => users.requestOTP("new@example.com"));
await step("second mail", async () => (number = await code("new@example.com")).length);
await step("second factor", () => users.authWithOTP(second?.otpId, number, { mfaId }));
await step("refresh", () => users.authRefresh());
await step("used up", () => users.authWithPassword("new@example.com", "changed1234", { mfaId }));
