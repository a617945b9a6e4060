import type PocketBase from "pocketbase";
import type { BatchService, RecordOptions, RecordService, SendOptions } from "pocketbase";

/** A text that is known to be of a kind. Plain texts still fit; those of another kind do not. */
type Flavored<Kind> = string & { readonly __kind?: Kind };

/** The id of a record of one collection. */
export type RecordId<Name extends CollectionName> = Flavored<Name>;

/** A time in UTC as records show it, such as `2026-01-31 12:00:00.000Z`; empty when unset. */
export type IsoDate = Flavored<"date">;

/** A time as bodies take it: ISO 8601, or a `Date`. */
export type DateInput = IsoDate | Date;

/** The name of a stored file, for `pb.files.getURL(record, name)`. */
export type FileName = Flavored<"file">;

export type FileInput = File | Blob;

/** Degrees. */
export interface GeoPoint {
  lon: number;
  lat: number;
}

/**
 * The types of JSON fields, which the server does not know. Say what they are beside your own code:
 *
 *     declare module "./types" {
 *       interface JsonTypes {
 *         "posts.meta": { views: number };
 *       }
 *     }
 */
export interface JsonTypes {}

type Json<Field extends string> = Field extends keyof JsonTypes ? JsonTypes[Field] : unknown;

type OneOrMany<T> = T | readonly T[];

/** `pb.collection(name)`, with what it gives and takes. */
export interface TypedRecordService<Name extends CollectionName> extends RecordService<CollectionRecords[Name]> {
  create<T = CollectionRecords[Name]>(
    bodyParams: CollectionCreates[Name],
    options?: RecordOptions,
  ): Promise<T>;
  update<T = CollectionRecords[Name]>(
    id: RecordId<Name>,
    bodyParams: CollectionUpdates[Name],
    options?: RecordOptions,
  ): Promise<T>;
}

/** `batch.collection(name)`, with what it takes. */
export interface TypedSubBatchService<Name extends CollectionName> {
  upsert(bodyParams: CollectionCreates[Name] & { id?: string }, options?: RecordOptions): void;
  create(bodyParams: CollectionCreates[Name], options?: RecordOptions): void;
  update(id: RecordId<Name>, bodyParams: CollectionUpdates[Name], options?: RecordOptions): void;
  delete(id: RecordId<Name>, options?: SendOptions): void;
}

export interface TypedBatchService extends Omit<BatchService, "collection"> {
  collection<Name extends CollectionName>(idOrName: Name): TypedSubBatchService<Name>;
}

/** `new PocketBase(url) as TypedPocketBase` knows the collections. */
export interface TypedPocketBase extends Omit<PocketBase, "collection" | "createBatch"> {
  collection<Name extends CollectionName>(idOrName: Name): TypedRecordService<Name>;
  createBatch(): TypedBatchService;
}
