// The drop zone: files, folders and zips are sent to this page's own server, a few at a time; what arrived is told to it.
// `element` and `trigger` are given by Gradio. Folders keep their names, since clips and parts are told apart by them.
const BATCH = 24, most = () => Number(element.querySelector(".drop")?.dataset.most || 0);
const address = () => `${window.gradio_config?.root ?? ""}${window.gradio_config?.api_prefix ?? "/gradio_api"}/upload`;
const line = () => element.querySelector(".drop-progress");
let request = null, stopped = false;

function show(percent, text) {
  const node = line();
  if (!node) return;
  node.hidden = false;
  node.querySelector("progress").value = percent;
  node.querySelector("span").textContent = text;
  node.querySelector("button").hidden = !request;
}

function post(files, before, total) {
  return new Promise((resolve, reject) => {
    const form = new FormData();
    files.forEach(({ file }) => form.append("files", file, file.name));
    request = new XMLHttpRequest();
    request.open("POST", address());
    request.upload.onprogress = (event) => show((100 * (before + event.loaded)) / Math.max(1, total), `sending ${Math.round((before + event.loaded) / 1e5) / 10} of ${Math.round(total / 1e5) / 10} MB`);
    request.onload = () => (request.status === 200 ? resolve(JSON.parse(request.responseText))
      : reject(request.status === 413 ? "A file is too large: 2 GB is the most for one." : `The upload failed (${request.status}).`));
    request.onerror = () => reject("The upload failed: the server could not be reached.");
    request.onabort = () => reject("The upload was cancelled; nothing was kept.");
    request.send(form);
  });
}

async function send(found) {
  const files = found.filter(({ name }) => !/(^|\/)(\.|__MACOSX)/.test(name));
  if (!files.length) return show(0, "There is no file in it.");
  if (files.length > most()) return show(0, `${files.length.toLocaleString()} files are too many; ${most().toLocaleString()} are taken at a time.`);
  const total = files.reduce((sum, { file }) => sum + file.size, 0), arrived = [];
  let before = 0;
  stopped = false;
  try {
    for (let at = 0; at < files.length && !stopped; at += BATCH) {
      const batch = files.slice(at, at + BATCH);
      const paths = await post(batch, before, total);
      batch.forEach(({ name }, i) => arrived.push([paths[i], name]));
      before += batch.reduce((sum, { file }) => sum + file.size, 0);
    }
    request = null;
    trigger("upload", { files: arrived });
  } catch (reason) {
    request = null;
    show(0, String(reason));
  }
}

// A dropped folder is read entry by entry; readEntries gives at most a hundred at a time.
async function walk(entry, into) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    into.push({ file, name: entry.fullPath.replace(/^\//, "") });
  } else if (entry.isDirectory) {
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) return;
      for (const inner of some) await walk(inner, into);
    }
  }
}

element.addEventListener("drop", async (event) => {
  event.preventDefault();
  event.stopPropagation();
  element.querySelector(".drop")?.classList.remove("over");
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean), found = [];
  if (!entries.length) return send([...event.dataTransfer.files].map((file) => ({ file, name: file.name })));
  for (const entry of entries) await walk(entry, found);
  send(found);
});
["dragenter", "dragover"].forEach((kind) => element.addEventListener(kind, (event) => {
  event.preventDefault();
  element.querySelector(".drop")?.classList.add("over");
}));
element.addEventListener("dragleave", () => element.querySelector(".drop")?.classList.remove("over"));
element.addEventListener("click", (event) => {
  const choose = event.target.closest("[data-choose]");
  if (choose) element.querySelector(`[data-input="${choose.dataset.choose}"]`).click();
  if (event.target.closest("[data-clear]")) trigger("clear", {});
  if (event.target.closest("[data-abort]")) { stopped = true; request?.abort(); }
});
element.addEventListener("change", (event) => {
  if (!event.target.dataset.input) return;
  send([...event.target.files].map((file) => ({ file, name: file.webkitRelativePath || file.name })));
  event.target.value = "";
});
