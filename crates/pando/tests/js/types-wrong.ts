// Everything that is marked is wrong, and is found to be: a mark without an error is an error itself.

import PocketBase from "pocketbase";
import type { EveryThingCreate, RecordId, TypedPocketBase } from "./types";

const pb = new PocketBase("http://127.0.0.1:8090") as TypedPocketBase;
const right: EveryThingCreate = { title: "A title", weight: 1, agreed: true, due: "2026-01-01", mood: "good" };

export async function wrong(): Promise<void> {
  // @ts-expect-error There is no such collection.
  pb.collection("every_things");
  // @ts-expect-error Nor in a batch.
  pb.createBatch().collection("every_things");

  const thing = await pb.collection("every_thing").getOne("abcdefghijklmno");
  // @ts-expect-error There is no such field.
  thing.titel;
  // @ts-expect-error Not a value of the field.
  if (thing.mood === "fine") return;
  // @ts-expect-error A list is not one of its values.
  if (thing.tags === "a") return;
  // @ts-expect-error Not asked for, or not to be seen.
  thing.expand.author;
  // @ts-expect-error Nothing leads there.
  thing.expand?.title;
  // @ts-expect-error One card at most points here.
  thing.expand?.cards_via_of?.[0];
  // @ts-expect-error JSON is anything until it is said what.
  thing.meta.views;
  // @ts-expect-error Only superusers see it.
  thing.secret.length;
  // @ts-expect-error Accounts' passwords are nobody's to read.
  (await pb.collection("people").getOne("x")).password;

  const { title: _, ...untitled } = right;
  // @ts-expect-error A title is required.
  await pb.collection("every_thing").create(untitled);
  // @ts-expect-error There is no such field.
  await pb.collection("every_thing").create({ ...right, titel: "x" });
  // @ts-expect-error A number is not a text.
  await pb.collection("every_thing").create({ ...right, title: 1 });
  // @ts-expect-error It must be agreed to.
  await pb.collection("every_thing").create({ ...right, agreed: false });
  // @ts-expect-error Not one of the values.
  await pb.collection("every_thing").create({ ...right, tags: ["d"] });
  // @ts-expect-error A file is not its name.
  await pb.collection("every_thing").create({ ...right, cover: "x.png" });
  // @ts-expect-error It is set by the server.
  await pb.collection("every_thing").create({ ...right, created: "2026-01-01" });
  // @ts-expect-error Needed once more.
  await pb.collection("people").create({ email: "a@example.com", password: "1" });
  // @ts-expect-error What is changed is no number.
  await pb.collection("every_thing").update("x", { "title+": "x" });
  // @ts-expect-error Added to with a number.
  await pb.collection("every_thing").update("x", { "count+": "1" });
  // @ts-expect-error An id stays.
  await pb.collection("every_thing").update("x", { id: "y" });
  // @ts-expect-error A view takes nothing.
  await pb.collection("tallies").create({});

  // @ts-expect-error The id of another collection's record.
  const person: RecordId<"people"> = thing.id;
  // @ts-expect-error The id of another collection's record.
  await pb.collection("every_thing").update(thing.author, {});
  // @ts-expect-error A time is no id.
  await pb.collection("every_thing").update(thing.created, {});
  // @ts-expect-error The id of another collection's record.
  await pb.collection("notes").create({ about: thing.author });
  // @ts-expect-error Required in a batch too.
  pb.createBatch().collection("notes").create({ text: "n" });
  console.log(person);
}
