/**
 * The rules of the tools' policy on disk: one file for all projects that the user writes, and one for each
 * project with what they allowed for good. Both in the plugin's own data folder, for this user only.
 */
'use strict'

const fs = require('./fs').promises
const { constants } = require('./fs')
const path = require('node:path')
const { createHash, randomBytes } = require('node:crypto')
const { readRule } = require('./policy')

const VERSION = 1
const MAX_FILE = 1024 * 1024
const MAX_RULES = 1000

class Rules {
  #remembered = [] // what could not be written counts until the end of this session
  #writing = Promise.resolve()

  /**
   * @param {string} dataDir  the plugin's
   * @param {string} projectPath  canonical
   * @param {(message: string) => void} warn
   */
  constructor(dataDir, projectPath, warn) {
    this.folder = path.join(dataDir, 'tools')
    this.projectPath = projectPath
    this.common = path.join(this.folder, 'rules.json')
    this.own = path.join(this.folder, `project-${createHash('sha256').update(projectPath).digest('hex').slice(0, 32)}.json`)
    this.warn = warn
  }

  /** @returns {Promise<import('./policy').Rule[]>} as they are now: another window may have added one */
  async all() {
    return [...await this.#read(this.common), ...await this.#read(this.own), ...this.#remembered]
  }

  /**
   * Keeps an "always" of the person for this project.
   *
   * @param {string} tool
   * @param {string} subject  the very command or path
   */
  async allow(tool, subject) {
    const rule = { action: 'allow', tool, pattern: subject, exact: true }
    this.#remembered.push(rule)
    this.#writing = this.#writing.then(() => this.#add(rule)).catch(error => {
      this.warn(`tools: an allowed call can't be remembered beyond this session (${error.code ?? error.message})`)
    })
    await this.#writing
  }

  async #add(rule) {
    const rules = (await this.#read(this.own)).filter(one => !(one.tool === rule.tool && one.pattern === rule.pattern && one.exact))
    const content = JSON.stringify({ version: VERSION, project: this.projectPath, rules: [...rules, rule].slice(-MAX_RULES) }, null, 2)
    await fs.mkdir(this.folder, { recursive: true, mode: 0o700 })
    const temporary = `${this.own}.${randomBytes(6).toString('hex')}.tmp`
    const handle = await fs.open(temporary, 'wx', 0o600)
    try {
      await handle.writeFile(`${content}\n`)
      await handle.sync()
      await handle.close()
      await fs.rename(temporary, this.own)
    } catch (error) {
      await handle.close().catch(() => {})
      await fs.unlink(temporary).catch(() => {})
      throw error
    }
  }

  /** Rules that can't be trusted or understood are none; then more is asked, never less. */
  async #read(file) {
    let handle
    try {
      handle = await fs.open(file, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0))
      const info = await handle.stat()
      const foreign = process.getuid && (info.uid !== process.getuid() || (info.mode & 0o022) !== 0)
      if (!info.isFile() || foreign || info.size > MAX_FILE) throw new Error('others can write to it, or it is too large')
      const { version, project, rules } = JSON.parse(await handle.readFile('utf8'))
      if (version !== VERSION || !Array.isArray(rules)) throw new Error('its form is not known')
      if (file === this.own && project !== this.projectPath) throw new Error('it is of another project')
      return rules.map(readRule).map((rule, index) => rule ?? this.#unclear(file, index)).filter(Boolean)
    } catch (error) {
      if (error.code !== 'ENOENT') this.warn(`tools: ${path.basename(file)} is not used: ${error.code ?? error.message}`)
      // A rule that forbids something may be among those that can't be read.
      return error.code === 'ENOENT' ? [] : [{ action: 'ask', tool: '*' }]
    } finally {
      await handle?.close()
    }
  }

  #unclear(file, index) {
    this.warn(`tools: rule ${index + 1} of ${path.basename(file)} is not understood and not used`)
    return undefined
  }
}

module.exports = { Rules }
