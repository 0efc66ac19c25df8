'use strict'

const test = require('node:test')
const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const plugin = require('../../index')
const { lack, folder, startSshd, startLlm } = require('./lab')

const ROOT = path.join(__dirname, '../..')
const skip = lack() ?? false

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
  const poll = (async () => {
    let after = 0
    while (polling) {
      const answer = await call('next-events', { after, timeoutMs: 1000 })
      after = answer.seq
      const missed = answer.reset ? [{ type: 'state', ...(await call('get-state')) }] : []
      for (const event of [...missed, ...answer.events]) {
        events.push(event)
        for (const watch of [...watchers]) watch(event)
      }
    }
  })()
  const stop = async () => {
    if (!polling) return
    polling = false
    await own.deactivate()
    await poll
  }
  t.after(stop)
  /** Does something about each event of a kind. */
  const on = (type, act) => watchers.add(event => event.type === type && act(event))
  return { call, ok, events, on, stop, claudeService, project, storageDir, log }
}

/** Saves a server, and accepts its key as a person does. */
async function configured(t, app, reply) {
  const [ssh, llm] = await Promise.all([startSshd(t), startLlm(t, reply)])
  app.on('question', ({ question }) => app.ok('answer', { questionId: question.questionId, decision: 'accept', fingerprint: question.fingerprint }))
  await app.ok('configure', { configId: 'gpu', name: 'GPU', ssh, llm: { apiEndpoint: llm.endpoint } })
  return llm
}

const submit = (service, data) => {
  const seen = { chunks: '', raw: [] }
  const done = service.submit({ prompt: 'Hello?', sessionId: null, model: 'remote-llm:gpu:smol', maxTurns: 40, ...data }, piece => { seen.chunks += piece }, () => {}, line => seen.raw.push(JSON.parse(line)))
  return { seen, done }
}

const until = async (what, look) => {
  for (let tries = 0; tries < 400; tries++) {
    const found = await look()
    if (found) return found
    await new Promise(resolve => setTimeout(resolve, 25))
  }
  throw new Error(`waited in vain for ${what}`)
}

test('from a pasted target to an answer in Puffin’s prompt box, and again after a restart', { skip }, async t => {
  const app = await start(t)
  const llm = await configured(t, app, () => [{ role: 'assistant', content: 'Good ' }, { content: 'day.' }])
  const tested = await app.ok('test-connection', { configId: 'gpu' })
  assert.equal(tested.success, true, JSON.stringify(tested.error))
  assert.ok(app.events.some(({ type, question }) => type === 'question' && question.kind === 'host-key' && question.origin === 'test'))
  const { models } = await app.ok('list-models', { configId: 'gpu' })
  assert.deepEqual(models.map(({ id }) => id), ['smol'])
  const { config } = await app.ok('select-model', { configId: 'gpu', modelId: 'smol' })
  assert.equal(config.selectedModel, 'smol')

  const { seen, done } = submit(app.claudeService)
  const response = await done
  assert.deepEqual([seen.chunks, response.content], ['Good day.', 'Good day.'])
  assert.ok(app.events.some(({ type, event }) => type === 'stream-chunk' && event.type === 'finished'))
  await app.stop()

  const again = await start(t, app)
  const state = await again.ok('get-state')
  assert.deepEqual(state.configs.map(({ name, selectedModel, trust }) => [name, selectedModel, trust.state]), [['GPU', 'smol', 'trusted']])
  await submit(again.claudeService, { sessionId: response.sessionId, prompt: 'And now?' }).done
  const roles = llm.seen.chats.at(-1).messages.map(({ role }) => role)
  assert.deepEqual(roles, ['system', 'user', 'assistant', 'user'], 'the conversation goes on')
})

test('a tool that reads is free, one that writes waits for a yes, and the model hears what came of it', { skip }, async t => {
  const call = (id, name, input) => ({ tool_calls: [{ index: 0, id, type: 'function', function: { name, arguments: JSON.stringify(input) } }] })
  const app = await start(t)
  fs.writeFileSync(path.join(app.project, 'a.txt'), 'alpha')
  const script = [
    () => [{ role: 'assistant', content: 'I look.' }, call('c1', 'Read', { file_path: path.join(app.project, 'a.txt') })],
    () => [call('c2', 'Write', { file_path: path.join(app.project, 'b.txt'), content: 'beta' })],
    () => [call('c3', 'Edit', { file_path: path.join(app.project, 'a.txt'), old_string: 'alpha', new_string: 'omega' })],
    () => [{ content: 'Done.' }]
  ]
  const llm = await configured(t, app, body => script[body.messages.filter(({ role }) => role === 'assistant').length]())
  const decisions = { Write: 'allow', Edit: 'deny' }
  app.on('approval', ({ approval }) => app.ok('approve-tool', { callId: approval.callId, decision: decisions[approval.name] }))
  const { seen, done } = submit(app.claudeService)
  const response = await done
  assert.equal(response.content, 'Done.', JSON.stringify(seen.raw))
  assert.equal(fs.readFileSync(path.join(app.project, 'b.txt'), 'utf8'), 'beta')
  assert.equal(fs.readFileSync(path.join(app.project, 'a.txt'), 'utf8'), 'alpha')
  const asked = app.events.filter(({ type }) => type === 'approval').map(({ approval }) => approval)
  assert.deepEqual(asked.map(({ name }) => name), ['Write', 'Edit'])
  assert.match(asked[0].diff, /\+beta/)
  assert.match(asked[1].diff, /^-alpha$[^]*^\+omega$/m)
  assert.equal(asked[1].afterUntrustedRead, true)
  const results = llm.seen.chats.at(-1).messages.filter(({ role }) => role === 'tool').map(({ content }) => content)
  assert.match(results[0], /alpha/)
  assert.match(results[2], /did not allow/)
  assert.deepEqual(seen.raw.filter(({ type }) => type === 'user').map(({ message }) => message.content[0].is_error), [false, false, true])
})

test('stop closes the stream at the server, and what was said stays', { skip }, async t => {
  const app = await start(t)
  const llm = await configured(t, app, () => [{ role: 'assistant', content: 'Half' }, 'hang'])
  const { seen, done } = submit(app.claudeService)
  await until('the first words', () => seen.chunks === 'Half')
  app.claudeService.cancel()
  const response = await done
  assert.deepEqual([response.content, response.cancelled], ['Half', true])
  await until('the end of the request', () => llm.seen.closed === 1)
})

test('a daemon that is killed is told of, started again, and works', { skip }, async t => {
  const app = await start(t)
  await configured(t, app, () => [{ role: 'assistant', content: 'Hi' }])
  await submit(app.claudeService).done
  const [pid] = fs.readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').trim().split(' ').filter(id => fs.readFileSync(`/proc/${id}/comm`, 'utf8').startsWith('puffin-remote'))
  process.kill(Number(pid), 'SIGKILL')
  await until('the news', () => app.events.some(({ type, daemon }) => type === 'daemon' && daemon.phase === 'waiting'))
  const response = await submit(app.claudeService).done
  assert.equal(response.content, 'Hi')
  const { daemon, configs } = await until('the whole state', () => app.events.find(({ type }) => type === 'state'))
  assert.deepEqual([daemon.phase, configs.map(({ configId }) => configId)], ['ready', ['gpu']], 'what the page knew is out of date, and it is told so')
})

test('a server that came with the project is shown, and used when it is trusted', { skip }, async t => {
  const project = folder(t)
  const place = path.join(project, '.puffin/config/remote-llm')
  fs.mkdirSync(place, { recursive: true })
  fs.writeFileSync(path.join(place, 'shared.json'), JSON.stringify({ name: 'Shared', ssh: { host: '127.0.0.1', port: 1, useSshConfig: false }, llm: { apiEndpoint: 'http://localhost:1' } }))
  const app = await start(t, { project })
  const { configs: [config] } = await app.ok('get-state')
  assert.equal(config.trust.state, 'untrusted')
  const refused = await app.call('connect', { configId: 'shared' })
  assert.deepEqual([refused.ok, refused.error.code], [false, 'CONFIG_UNTRUSTED'])
  assert.match(refused.error.hint, /trust/)
  const trusted = await app.ok('trust-config', { configId: 'shared', digest: config.trust.digest })
  assert.equal(trusted.config.trust.state, 'trusted')
  const failed = await app.call('connect', { configId: 'shared' })
  assert.equal(failed.error.code, 'SSH_UNREACHABLE')
})

test('deactivate ends the daemon and leaves the service as it was', { skip }, async t => {
  const app = await start(t)
  await app.ok('get-state')
  await app.stop()
  assert.deepEqual(Object.keys(app.claudeService), [])
  const left = fs.readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').trim().split(' ').filter(Boolean)
  const daemons = left.filter(id => fs.readFileSync(`/proc/${id}/comm`, 'utf8').startsWith('puffin-remote'))
  assert.deepEqual(daemons, [])
})
