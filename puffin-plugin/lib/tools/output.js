/**
 * What a tool says, kept within bounds: the beginning and the end stay, the middle goes, and that is said.
 */
'use strict'

const OUTPUT_LIMIT = 256 * 1024
const MARKER_ROOM = 160
const HEAD_SHARE = 0.6

/** Takes in any amount of bytes and keeps at most `limit` of them. */
class Capture {
  #head = []
  #headBytes = 0
  #tail = []
  #tailBytes = 0

  /** @param {number} [limit]  bytes, the marker included */
  constructor(limit = OUTPUT_LIMIT) {
    this.headLimit = Math.floor((limit - MARKER_ROOM) * HEAD_SHARE)
    this.tailLimit = limit - MARKER_ROOM - this.headLimit
    this.total = 0
  }

  /** @param {Buffer} chunk */
  push(chunk) {
    this.total += chunk.length
    const room = this.headLimit - this.#headBytes
    if (room > 0) {
      const part = Buffer.from(chunk.subarray(0, room))
      this.#head.push(part)
      this.#headBytes += part.length
      chunk = chunk.subarray(part.length)
    }
    if (chunk.length === 0) return
    this.#tail.push(Buffer.from(chunk.subarray(-this.tailLimit)))
    this.#tailBytes += this.#tail.at(-1).length
    while (this.#tailBytes - this.#tail[0].length >= this.tailLimit) this.#tailBytes -= this.#tail.shift().length
    // Many tiny chunks would cost more than what they hold.
    if (this.#tail.length > 1024) this.#tail = [Buffer.concat(this.#tail)]
  }

  /** @returns {{text: string, leftOut: number, binary: boolean}} `leftOut` in bytes */
  finish() {
    const head = Buffer.concat(this.#head)
    const tail = Buffer.concat(this.#tail).subarray(-this.tailLimit)
    const leftOut = this.total - head.length - tail.length
    const binary = head.subarray(0, 8192).includes(0)
    if (leftOut === 0) return { text: decode(Buffer.concat([head, tail])), leftOut, binary }
    const text = `${decode(wholeEnd(head))}\n\n[${leftOut} bytes in the middle were left out]\n\n${decode(wholeStart(tail))}`
    return { text, leftOut, binary }
  }
}

/**
 * @param {string} text
 * @param {number} [limit]  bytes
 * @returns {string} the text, with its middle left out if it is longer
 */
function shorten(text, limit = OUTPUT_LIMIT) {
  if (text.length * 3 <= limit) return text
  const bytes = Buffer.from(text)
  if (bytes.length <= limit) return text
  const capture = new Capture(limit)
  capture.push(bytes)
  return capture.finish().text
}

function decode(bytes) {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
}

/** Without the beginning of a character that was cut off. */
function wholeEnd(bytes) {
  for (let back = 1; back <= Math.min(4, bytes.length); back++) {
    const byte = bytes[bytes.length - back]
    if ((byte & 0xc0) === 0x80) continue
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
    return length > back ? bytes.subarray(0, bytes.length - back) : bytes
  }
  return bytes
}

/** Without the end of a character whose beginning was cut off. */
function wholeStart(bytes) {
  let start = 0
  while (start < 3 && (bytes[start] & 0xc0) === 0x80) start++
  return bytes.subarray(start)
}

/**
 * Text as a person must see it before they agree: nothing in it can hide or reorder other parts.
 *
 * @param {string} text
 * @returns {string} with control, invisible and direction-changing characters written out
 */
function visible(text) {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, character => character === '\n' || character === '\t'
    ? character
    : `\\u{${character.codePointAt(0).toString(16)}}`)
}

module.exports = { Capture, OUTPUT_LIMIT, shorten, visible }
