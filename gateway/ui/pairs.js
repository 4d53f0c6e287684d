// Files out of folders, and pairs of two folders by name.

const stem = (path) => path.replace(/\.[^./]*$/, "");

async function filesBelow(entry, path = "") {
  if (entry.isFile) {
    const file = await new Promise((done, failed) => entry.file(done, failed));
    return [{ file, path: path + entry.name }];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const entries = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (entries.length === 0) return found;
    for (const each of entries) found.push(...await filesBelow(each, `${path}${each.isDirectory ? `${each.name}/` : ""}`));
  }
}

// Pairs by path below the folder, without the suffix. What has no partner says so.
export function matched(originals, copies) {
  const byStem = new Map(originals.map(({ file, path }) => [stem(path), file]));
  const items = copies.map(({ file, path }) => {
    const original = byStem.get(stem(path));
    byStem.delete(stem(path));
    return original ? { files: [original, file], name: path } : { files: [file], name: path, error: "No original of this name." };
  });
  const left = [...byStem].map(([name, file]) => ({ files: [file], name, error: "No copy of this name." }));
  return [...items, ...left];
}

// Files chosen by an input for folders, with their paths below the folder.
export const chosen = (input) =>
  [...input.files].map((file) => ({ file, path: file.webkitRelativePath.split("/").slice(1).join("/") }));

// What was dropped: `{ files }`, or `{ pairs }` where it was two folders.
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const folders = entries.filter((entry) => entry.isDirectory);
  if (folders.length === 0) return { files: [...transfer.files] };
  const contents = await Promise.all(entries.map((entry) => filesBelow(entry)));
  if (entries.length === 2 && folders.length === 2) return { pairs: matched(...contents) };
  return { files: contents.flat().map(({ file }) => file) };
}
