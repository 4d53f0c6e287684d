// Small pictures for the table's rows: those in view first, one after the other.

const SIDE = 112;

// Draws a thumbnail into each row's canvas and tells the row its picture's size.
export async function thumbnails(rows, signal) {
  const waiting = new Set(rows);
  const inView = new Set();
  const byLine = new Map(rows.map((row) => [row.line, row]));
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const row = byLine.get(entry.target);
      if (entry.isIntersecting) inView.add(row);
      else inView.delete(row);
    }
  });
  rows.forEach((row) => observer.observe(row.line));
  while (waiting.size > 0 && !signal.aborted) {
    const [row] = [...inView].filter((each) => waiting.has(each)).concat(...waiting);
    waiting.delete(row);
    await draw(row);
  }
  observer.disconnect();
}

async function draw(row) {
  let picture;
  try {
    picture = await createImageBitmap(row.file);
  } catch {
    row.canvas.hidden = true; // a format that this browser does not show
    return;
  }
  [row.width, row.height] = [picture.width, picture.height];
  row.pixels = row.width * row.height;
  row.size.textContent = `${row.width} × ${row.height}`;
  const shrink = Math.min(1, SIDE / Math.min(row.width, row.height));
  [row.canvas.width, row.canvas.height] = [row.width * shrink, row.height * shrink].map((side) => Math.max(1, Math.round(side)));
  row.canvas.getContext("2d").drawImage(picture, 0, 0, row.canvas.width, row.canvas.height);
  picture.close();
}
