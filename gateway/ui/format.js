// Small things that every part of the page needs: elements, and numbers as people read them.

export const find = (id) => document.getElementById(id);

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function bytes(count) {
  if (count < 1000) return `${count} ${count === 1 ? "byte" : "bytes"}`;
  return count < 1e6 ? `${(count / 1e3).toFixed(0)} kB` : `${(count / 1e6).toFixed(1)} MB`;
}

// The format that the file's first bytes show, whatever its name says.
async function formatOf(file) {
  const head = String.fromCharCode(...new Uint8Array(await file.slice(0, 16).arrayBuffer()));
  const signatures = {
    "JPEG": /^\xff\xd8\xff/, "PNG": /^\x89PNG/, "GIF": /^GIF8/, "WebP": /^RIFF....WEBP/s,
    "TIFF": /^(II\*\0|MM\0\*)/, "AVIF": /^....ftypavi/s, "HEIC": /^....ftyp(hei|mif|msf)/s,
    "BMP": /^BM/, "JPEG XL": /^(\xff\x0a|\0\0\0\x0cJXL )/,
  };
  return Object.keys(signatures).find((name) => signatures[name].test(head)) ?? "unknown format";
}

// What is known of a file: format, size, bytes, bits per pixel. `size` is null where the browser
// cannot decode it.
export async function facts(file, size) {
  const known = [await formatOf(file), bytes(file.size)];
  if (size) {
    const pixels = size.width * size.height;
    known.splice(1, 0, `${size.width} × ${size.height} pixels (${(pixels / 1e6).toFixed(2)} megapixels)`);
    known.push(`${((8 * file.size) / pixels).toFixed(2)} bits per pixel`);
  }
  return known.join(", ");
}

// How much smaller, or larger, the copy is than the original.
export function saving(original, copy) {
  const percent = 100 * (1 - copy.size / original.size);
  const amount = Math.abs(percent).toFixed(Math.abs(percent) < 10 ? 1 : 0);
  return percent < 0 ? `${amount}% more bytes than the original` : `${amount}% of the bytes saved`;
}

export function save(name, type, ...parts) {
  const url = URL.createObjectURL(new Blob(parts, { type }));
  element("a", { href: url, download: name }).click();
  URL.revokeObjectURL(url);
}
