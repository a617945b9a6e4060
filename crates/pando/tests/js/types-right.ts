// Everything here is right, and needs no cast but the first.

import PocketBase, { type ListResult, type RecordSubscription } from "pocketbase";
import {
  type AuthRecords,
  type CollectionName,
  Collections,
  type EveryThingCreate,
  type EveryThingRecord,
  type EveryThingUpdate,
  type NotesRecord,
  type PeopleRecord,
  type RecordId,
  type TalliesRecord,
  type TypedPocketBase,
} from "./types";

declare module "./types" {
  interface JsonTypes {
    "every_thing.meta": { views: number };
  }
}

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_: Same<A, B>): void {}

const pb = new PocketBase("http://127.0.0.1:8090") as TypedPocketBase;

async function reading(): Promise<void> {
  const page = await pb.collection("every_thing").getList(1, 20, { filter: "count > 1", expand: "author" });
  same<typeof page, ListResult<EveryThingRecord>>(true);
  const [thing] = page.items;
  if (!thing) return;
  same<typeof thing.kind, "plain" | "\"quoted\" \\ 'x'" | "ünï" | "">(true);
  same<typeof thing.mood, "good" | "bad">(true);
  same<typeof thing.tags, ("a" | "b" | "c")[]>(true);
  same<typeof thing.meta, { views: number }>(true);
  same<typeof thing.agreed, boolean>(true);
  same<typeof thing.secret, string | undefined>(true);
  same<typeof thing.collectionName, "every_thing">(true);
  const time = new Date(thing.created).getTime() + thing.meta.views + thing.place.lon + thing.count;
  const name: string | undefined = thing.expand?.author?.name;
  const deep: string | undefined = thing.expand?.notes_via_about?.[0]?.expand?.about?.title;
  same<NonNullable<EveryThingRecord["expand"]>["cards_via_of"], import("./types").CardsRecord | undefined>(true);
  const link = pb.files.getURL(thing, thing.papers[0] ?? thing.cover, { thumb: "50x50" });
  console.log(time, name, deep, link, thing["2nd"], thing.delete);

  const all = await pb.collection(Collections.Notes).getFullList();
  same<typeof all, NotesRecord[]>(true);
  const author = await pb.collection("people").getOne(thing.author);
  same<typeof author, PeopleRecord>(true);
  const row = await pb.collection("tallies").getFirstListItem("count > 1");
  same<typeof row, TalliesRecord>(true);
  same<typeof row.twice, unknown>(true);
  // Another shape is asked for by name, as ever.
  const some = await pb.collection("every_thing").getOne<Pick<EveryThingRecord, "title">>(thing.id, { fields: "title" });
  same<typeof some, Pick<EveryThingRecord, "title">>(true);
  await pb.collection("every_thing").subscribe("*", (event: RecordSubscription<EveryThingRecord>) => {
    console.log(event.record.title);
  });
}

async function writing(): Promise<void> {
  const body: EveryThingCreate = {
    title: "A title",
    weight: 1,
    agreed: true,
    due: new Date(),
    mood: "good",
    tags: ["a", "b"],
    cover: new File(["x"], "x.png"),
    papers: [new Blob(["y"])],
    author: "abcdefghijklmno",
    meta: { views: 1 },
    place: { lon: 1, lat: 2 },
    "2nd": "x",
  };
  const made = await pb.collection("every_thing").create(body, { expand: "author" });
  same<typeof made, EveryThingRecord>(true);
  const change: EveryThingUpdate = {
    "count+": 1,
    "tags+": "c",
    "+tags": ["a"],
    "tags-": ["b"],
    "slug:autogenerate": "s-",
    "papers+": [new File(["z"], "z.txt")],
    "papers-": made.papers,
    "readers+": made.author,
    kind: "",
    done: "2026-01-01 10:00:00.000Z",
    cover: null,
  };
  await pb.collection("every_thing").update(made.id, change);
  await pb.collection("every_thing").update("abcdefghijklmno", new FormData());
  await pb.collection("people").create({ email: "a@example.com", password: "1", passwordConfirm: "1" });
  await pb.collection("people").update("x", { oldPassword: "1", password: "2", passwordConfirm: "2" });
  await pb.collection("every_thing").delete(made.id);

  const batch = pb.createBatch();
  batch.collection("notes").create({ about: made.id, text: "n" });
  batch.collection("notes").upsert({ id: "abcdefghijklmno", about: made.id });
  batch.collection("every_thing").update(made.id, { title: "Other" });
  batch.collection("every_thing").delete(made.id);
  await batch.send();
}

async function loggingIn(): Promise<void> {
  const { record, token } = await pb.collection("people").authWithPassword("a@example.com", "1");
  same<typeof record, PeopleRecord>(true);
  same<typeof record.email, string | undefined>(true);
  same<typeof record.role, "" | "reader" | "editor">(true);
  await pb.collection("_superusers").authRefresh();
  const anyone = (who: AuthRecords): string => who.id;
  console.log(token, anyone(record), pb.authStore.record?.id);
}

const names: CollectionName[] = [Collections._2faLogs, Collections.MyPosts_myPosts, Collections.MyPosts_my_posts, "users"];
const id: RecordId<"notes"> = "abcdefghijklmno";
console.log(names, id, reading, writing, loggingIn);
