/** What the bytes of a file are: text or not, and with which line ends. */
'use strict'

const { Fault } = require('./fault')

const MARKS = [
  ['a PNG image', [0x89, 0x50, 0x4e, 0x47]], ['a JPEG image', [0xff, 0xd8, 0xff]], ['a GIF image', [0x47, 0x49, 0x46, 0x38]],
  ['a PDF', [0x25, 0x50, 0x44, 0x46]], ['a ZIP archive', [0x50, 0x4b, 0x03, 0x04]], ['gzip data', [0x1f, 0x8b]],
  ['an ELF program', [0x7f, 0x45, 0x4c, 0x46]], ['UTF-16 text', [0xff, 0xfe]], ['UTF-16 text', [0xfe, 0xff]],
  ['an SQLite database', [0x53, 0x51, 0x4c, 0x69, 0x74, 0x65]]
]

/**
 * @param {Buffer} bytes  the beginning of a file
 * @returns {string | undefined} what it is, if it is not text in UTF-8 or the like
 */
function binaryKind(bytes) {
  const mark = MARKS.find(([, start]) => start.every((byte, index) => bytes[index] === byte))
  if (mark) return mark[0]
  return bytes.subarray(0, 8192).includes(0) ? 'binary data' : undefined
}

/**
 * @param {Buffer} bytes  a whole file
 * @param {string} name
 * @returns {string} its text, a byte order mark included; encoding it gives the same bytes again
 * @throws {Fault} when it is not text in UTF-8
 */
function exactText(bytes, name) {
  const kind = binaryKind(bytes)
  if (kind) throw new Fault('TOOL_INVALID_INPUT', `${name} is ${kind}, not text: it can't be edited with this tool.`)
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new Fault('TOOL_INVALID_INPUT', `${name} is not in UTF-8: it can't be edited with this tool without damage.`)
  }
}

/** Whether the lines of a text end in CRLF, most of them. */
function hasCrlf(text) {
  let [crlf, lf] = [0, 0]
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) {
    if (text[at - 1] === '\r') crlf++
    else lf++
  }
  return crlf > lf
}

/** The same text with every line end made CRLF. */
function toCrlf(text) {
  return text.replace(/\r?\n/g, '\r\n')
}

module.exports = { binaryKind, exactText, hasCrlf, toCrlf }
