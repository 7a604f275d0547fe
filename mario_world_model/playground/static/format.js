// One message: the length of its header (4 bytes, little-endian), the header as JSON, and the parts it names.

/** Header and parts of a message; parts of one name come in a list, as [name, [Uint8Array, …]]. */
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const parts = {};
  let at = 4 + length;
  for (const [name, size] of header.parts) {
    (parts[name] ??= []).push(new Uint8Array(buffer, at, size));
    at += size;
  }
  return { header, parts };
}

/** Float32 numbers of a part, which need not lie on a multiple of four. */
export function floats(part) {
  return new Float32Array(part.slice().buffer);
}
