import type { ObjectStore } from "../../backends/object-store.ts";

/** Puts an object that is named by its content. One that lies there already stays, unless it was damaged: deploying anew mends it. */
export async function putAgain(
  store: ObjectStore,
  key: string,
  bytes: Buffer,
  isSound: (stored: Buffer) => boolean,
): Promise<void> {
  if (await store.put(key, bytes)) return;
  const found = await store.get(key);
  if (found !== undefined && isSound(found.bytes)) return;
  await store.delete(key);
  await store.put(key, bytes);
}
