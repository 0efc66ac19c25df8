/**
 * What was asked of the tools and what became of it, one JSON object a line: for the person to look at
 * later. Only ever appended to, for this user only, and turned over before it grows large. No file content
 * and no output is in it.
 */
'use strict'

const fs = require('./fs').promises
const { constants } = require('./fs')
const path = require('node:path')
const { shorten } = require('./output')

const MAX_SUBJECT = 400
const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)
const SECRETS = [
  [/(authorization["']?\s*[:=]\s*["']?(?:bearer|basic)?\s*)[^\s"']+/gi, '$1…'],
  [/\b(sk-|ghp_|gho_|ghs_|github_pat_|glpat-|xox[abprs]-|AKIA|hf_)[A-Za-z0-9_-]{8,}/g, '$1…'],
  [/(\b[\w-]*(?:password|passwd|secret|token|api[-_]?key)[\w-]*["']?\s*[:= ]\s*["']?)[^\s"'&|;]+/gi, '$1…'],
  [/(\w+:\/\/)[^\s/@:]*:[^\s/@]*@/g, '$1…@'],
  [/-----BEGIN [\s\S]*/g, '-----BEGIN …']
]

class Decisions {
  #last = Promise.resolve()

  /**
   * @param {string} dataDir  the plugin's
   * @param {(message: string) => void} warn
   * @param {{maxBytes?: number, keep?: number}} [limits]  how large one file gets, and how many older ones stay
   */
  constructor(dataDir, warn, { maxBytes = 10 * 1024 * 1024, keep = 4 } = {}) {
    this.folder = path.join(dataDir, 'tools')
    this.file = path.join(this.folder, 'decisions.jsonl')
    this.warn = warn
    this.maxBytes = maxBytes
    this.keep = keep
  }

  /**
   * @param {{callId: string, tool: string, subject?: string, decision: string, reason?: string,
   *   outcome?: string, durationMs?: number, outputBytes?: number, projectPath: string}} record
   * @returns {Promise<void>} never rejects: a full disk is told, and stops no tool
   */
  append(record) {
    const { subject, ...rest } = record
    const line = JSON.stringify({ v: 1, ts: new Date().toISOString(), ...rest, ...(subject !== undefined && { subject: redacted(subject) }) })
    this.#last = this.#last.then(() => this.#write(`${line}\n`)).catch(error => {
      this.warn(`tools: a decision could not be logged (${error.code ?? error.message})`)
    })
    return this.#last
  }

  async #write(line) {
    await fs.mkdir(this.folder, { recursive: true, mode: 0o700 })
    let handle = await fs.open(this.file, APPEND, 0o600)
    try {
      if ((await handle.stat()).size + line.length > this.maxBytes) {
        await handle.close()
        await this.#turnOver()
        handle = await fs.open(this.file, APPEND, 0o600)
      }
      await handle.write(line)
    } finally {
      await handle.close().catch(() => {})
    }
  }

  async #turnOver() {
    const name = number => number === 0 ? this.file : `${this.file}.${number}`
    for (let number = this.keep - 1; number >= 0; number--) {
      await fs.rename(name(number), name(number + 1)).catch(error => {
        if (error.code !== 'ENOENT') throw error
      })
    }
  }
}

/** A command or path without what looks like a secret, and not longer than a line should be. */
function redacted(subject) {
  const text = SECRETS.reduce((all, [found, instead]) => all.replace(found, instead), subject.slice(0, 8192))
  return shorten(text.length > MAX_SUBJECT ? `${text.slice(0, MAX_SUBJECT)}…` : text)
}

module.exports = { Decisions, redacted }
