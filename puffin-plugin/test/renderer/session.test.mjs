import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSession } from '../../renderer/session.js'
import { createFakeMain, Refusal } from '../../stand-in/fake-main.js'
import { handlersOf, server, variety } from '../../stand-in/servers.js'

/** A session over the stand-in for main, with the given handlers in place of its own. */
async function begun(configs, more = {}, t) {
  const main = createFakeMain({ ...handlersOf(configs), ...more }, () => ({ configs, daemon: { phase: 'ready' } }))
  const session = createSession({ invoke: main.invoke, now: () => 1_700_000_000_000 })
  session.start()
  t.after(() => {
    session.stop()
    main.emit({ type: 'later-version' })
  })
  const until = condition => new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`never: ${condition}`)), 5000)
    const look = () => {
      if (!condition(session.sam.state())) return
      clearTimeout(timer)
      stop()
      resolve()
    }
    const stop = session.subscribe(look)
    queueMicrotask(look)
  })
  await until(state => state.daemon.phase === 'ready' && state.remoteConfigs.length === configs.length)
  return { main, session, until, actions: session.actions, state: session.sam.state, calls: name => main.calls.filter(call => call.name === name).map(call => call.params) }
}

test('a connection that has become usable says its models, once', async t => {
  const { main, until, actions, state, calls } = await begun([server('gpu1')], {}, t)
  actions.select('gpu1')
  await actions.connect('gpu1')
  await until(now => now.modelLists.gpu1?.phase === 'ready')
  assert.equal(state().activeRemoteConnection.models.length, 4)
  main.emit({ type: 'connection-status', status: { configId: 'gpu1', state: 'ready', latencyMs: 12 } })
  await until(now => now.remoteConfigs[0].status.latencyMs === 12)
  assert.equal(calls('list-models').length, 1)
})

test('a secret that was typed is sent once, and is in no state', async t => {
  const { actions, state, calls } = await begun([server('gpu1', { ssh: { authMethod: 'password' } })], {}, t)
  actions.select('gpu1')
  actions.changeSecret('gpu1', 'ssh.password', 'correct horse')
  assert.equal(JSON.stringify(state()).includes('correct horse'), false)
  await actions.save('gpu1')
  await actions.save('gpu1')
  assert.deepEqual(calls('configure').map(({ ssh }) => ssh.password), ['correct horse', undefined])
  assert.equal(state().drafts.gpu1.secrets['ssh.password'], 'saved')
})

test('what is typed while a server is being saved is kept', async t => {
  const { actions, state, calls } = await begun([], {}, t)
  actions.addServer()
  actions.changeField('new', 'ssh', 'host', 'gpu1')
  const saving = actions.save('new')
  actions.changeField('new', 'ssh', 'username', 'late')
  await saving
  assert.deepEqual([state().selected, state().drafts.gpu1.ssh.username, state().drafts.gpu1.dirty], ['gpu1', 'late', true])
  await actions.save('gpu1')
  assert.deepEqual(calls('configure').map(({ configId, ssh }) => [configId, ssh.username]), [[undefined, undefined], ['gpu1', 'late']])
})

test('a refusal is told, and the server can be tried again', async t => {
  const { actions, state } = await begun(variety(), { connect: () => { throw new Refusal('SSH_AUTH_FAILED', 'gpu1 did not accept user ai.') } }, t)
  actions.select('gpu1')
  await actions.connect('gpu1')
  assert.deepEqual([state().notice.text, state().notice.kind, state().busy], ['gpu1 did not accept user ai.', 'error', {}])
})

test('what the form lacks is told before anything is asked of main', async t => {
  const { actions, state, calls } = await begun([], {}, t)
  actions.addServer()
  await actions.save('new')
  assert.equal(state().notice.text, 'Host is missing.')
  assert.deepEqual(calls('configure'), [])
})

test('a server that listens elsewhere is found, and its address is filled in', async t => {
  const stages = failed => ['resolve', 'auth', 'forward'].map(name => ({ name, hop: null, status: name === failed ? 'failed' : 'passed', durationMs: 1, detail: '' }))
  const answer = ({ llm }) => llm.apiEndpoint.includes(':8000') ? { success: true, stages: stages(), models: [] } : { success: false, stages: stages('forward'), error: { message: 'closed', data: {} } }
  const { actions, state, calls, until } = await begun([], { 'test-connection': answer }, t)
  await until(now => now.presets.length > 0)
  actions.addServer()
  actions.changeField('new', 'ssh', 'host', 'gpu1')
  await actions.test('new')
  assert.deepEqual(calls('test-connection').map(({ llm }) => llm.apiEndpoint), ['http://127.0.0.1:11434', 'http://127.0.0.1:8000/v1'])
  assert.equal(state().drafts.new.llm.apiEndpoint, 'http://127.0.0.1:8000/v1')
})

test('nobody is asked again for a guess, and a machine that is not reached is not tried at other ports', async t => {
  const failed = name => ({ success: false, stages: [{ name, hop: null, status: 'failed', durationMs: 1, detail: '' }], error: { message: 'no', data: {} } })
  let stage = 'auth'
  let asks = false
  const { actions, calls, until } = await begun([], {
    'test-connection': async (params, main) => {
      if (asks) await main.ask({ kind: 'password', hop: 1, hops: 1, host: 'gpu1', prompts: [], attempt: 1 })
      return failed(stage)
    }
  }, t)
  await until(now => now.presets.length > 0)
  actions.addServer()
  actions.changeField('new', 'ssh', 'host', 'gpu1')
  await actions.test('new')
  assert.equal(calls('test-connection').length, 1)

  stage = 'forward'
  asks = true
  const done = actions.test('new')
  await until(now => now.questions.length === 1)
  actions.cancelQuestion({ questionId: 'q1', kind: 'password' })
  await done
  assert.equal(calls('test-connection').length, 2)
})

test('a daemon that cannot be started leaves what is on show, and one that is back is asked for everything', async t => {
  const configs = [server('a')]
  let phase = 'ready'
  const { main, session, until, actions, state } = await begun(configs, { 'get-state': () => ({ seq: 0, configs: phase === 'failed' ? [] : configs, daemon: { phase, error: phase === 'failed' ? { message: 'No daemon for this computer.' } : null } }) }, t)
  actions.select('a')
  actions.changeField('a', 'ssh', 'username', 'typed')
  phase = 'failed'
  actions.reload()
  await until(now => now.daemon.phase === 'failed')
  assert.deepEqual([state().remoteConfigs.length, state().drafts.a.ssh.username], [1, 'typed'])
  phase = 'ready'
  configs.push(server('b'))
  session.sam.present({ type: 'DAEMON_CHANGED', daemon: { phase: 'ready', error: null } })
  await until(now => now.remoteConfigs.length === 2)
  assert.equal(state().drafts.a.ssh.username, 'typed')
  main.emit({ type: 'later-version' })
})

test('a profile that was changed elsewhere is read again, and one that was deleted is gone', async t => {
  const configs = [server('a'), server('b')]
  const { main, until } = await begun(configs, {}, t)
  configs[0] = server('a', { name: 'Renamed' })
  main.emit({ type: 'config-changed', configId: 'a', change: 'saved' }, { type: 'config-changed', configId: 'b', change: 'deleted' })
  await until(now => now.remoteConfigs.length === 1 && now.remoteConfigs[0].name === 'Renamed')
})
