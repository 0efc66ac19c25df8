'use strict'

/** The plugin as Puffin runs it, a page that polls, and a person who answers. */

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const plugin = require('../../index')
const { afterwards, folder, startSshd, startLlm } = require('./lab')

const ROOT = path.join(__dirname, '../..')

/** Puffin's service as far as the plugin touches it. */
class ClaudeService {
  isProcessRunning() { return false }
  async submit() { throw new Error('this is Claude’s') }
  cancel() {}
  sendAnswer() {}
  async buildPrompt({ prompt }) { return prompt }
}

/** The plugin as Puffin runs it, and a page that polls. */
async function start(t, { project = folder(t), storageDir = folder(t), claudeService = new ClaudeService() } = {}) {
  const handlers = new Map()
  const log = []
  const note = level => (...words) => log.push(`${level} ${words.join(' ')}`)
  const context = {
    pluginName: 'remote-llm-plugin', pluginDir: ROOT, projectPath: project, storageDir,
    log: { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') },
    registerIpcHandler: (name, handler) => handlers.set(name, handler),
    getService: name => (name === 'claudeService' ? claudeService : null)
  }
  const own = { ...plugin }
  await own.activate(context)
  const call = async (name, params) => {
    const answer = structuredClone(await handlers.get(`remote-llm:${name}`)(params))
    return answer
  }
  const ok = async (name, params) => {
    const answer = await call(name, params)
    assert.equal(answer.ok, true, `${name}: ${JSON.stringify(answer.error)}`)
    return answer
  }
  const events = []
  const watchers = new Set()
  let polling = true
  let polls = 0
  const poll = (async () => {
    let after = 0
    while (polling) {
      const answer = await call('next-events', { after, timeoutMs: 1000 })
      polls++
      after = answer.seq
      const missed = answer.reset ? [{ type: 'state', ...(await call('get-state')) }] : []
      for (const event of [...missed, ...answer.events]) {
        events.push(event)
        for (const watch of [...watchers]) watch(event)
      }
    }
  })()
  let stopped = false
  const stop = async () => {
    if (stopped) return
    stopped = true
    polling = false
    await own.deactivate()
    await poll
  }
  afterwards(t, stop)
  /** Does something about each event of a kind. */
  const on = (type, act) => watchers.add(event => event.type === type && act(event))
  /** The page goes away, and it is long enough ago. */
  const blind = async () => {
    polling = false
    await poll
    const now = Date.now
    Date.now = () => now() + 60_000
    afterwards(t, () => { Date.now = now })
  }
  const daemonPid = () => children().find(({ name }) => name.startsWith('puffin-remote'))?.pid
  return { call, ok, events, polls: () => polls, on, stop, blind, daemonPid, claudeService, project, storageDir, log }
}

/** Saves a server, and accepts its key as a person does. */
async function configured(t, app, reply) {
  const [ssh, llm] = await Promise.all([startSshd(t), startLlm(t, reply)])
  app.on('question', ({ question }) => app.ok('answer', { questionId: question.questionId, decision: 'accept', fingerprint: question.fingerprint }))
  await app.ok('configure', { configId: 'gpu', name: 'GPU', ssh, llm: { apiEndpoint: llm.endpoint } })
  return { ...llm, sshd: ssh.pid }
}

const submit = (service, data, onQuestion) => {
  const seen = { chunks: '', raw: [] }
  const done = service.submit({ prompt: 'Hello?', sessionId: null, model: 'remote-llm:gpu:smol', maxTurns: 40, ...data }, piece => { seen.chunks += piece }, () => {}, line => seen.raw.push(JSON.parse(line)), () => {}, onQuestion)
  return { seen, done }
}

/** Processes that this one has started and that still run; Linux tells. */
const children = () => fs.readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ').filter(Boolean)
  .map(pid => ({ pid: Number(pid), name: fs.readFileSync(`/proc/${pid}/comm`, 'utf8') }))

/** Waits for something that no event tells. */
const until = async (what, look) => {
  for (let tries = 0; tries < 400; tries++) {
    const found = await look()
    if (found) return found
    await new Promise(resolve => setTimeout(resolve, 25))
  }
  throw new Error(`waited in vain for ${what}`)
}

module.exports = { ClaudeService, start, configured, submit, until }
