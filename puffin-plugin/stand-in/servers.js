/** Made-up servers and what they answer. */

import { Refusal } from './fake-main.js'

const HOUR = 3_600_000

export function server(configId, more = {}) {
  const { ssh, llm, ...rest } = more
  return {
    configId,
    name: configId,
    ssh: { host: `${configId}.lab.example`, username: 'ai', authMethod: 'auto', useSshConfig: true, jumpHosts: [], hasPassword: false, hasPassphrase: false, ...ssh },
    llm: { apiEndpoint: 'http://127.0.0.1:11434', apiType: 'auto', hasApiKey: false, secretHeaderNames: [], ...llm },
    selectedModel: null,
    status: { configId, state: 'off', since: new Date(0).toISOString() },
    lastCheckedAt: null,
    trust: { state: 'trusted', digest: `sha256:${configId}` },
    warnings: [],
    ...rest
  }
}

/** One in each state. */
export function variety(now = Date.now()) {
  const status = (configId, state, more) => ({ configId, state, since: new Date(now - HOUR).toISOString(), ...more })
  const checked = new Date(now - 120_000).toISOString()
  const refused = { code: 1001, message: 'gpu4 did not accept user ai with: agent (3 keys), ~/.ssh/id_ed25519. It allows: publickey.', data: { code: 'SSH_AUTH_FAILED', stage: 'auth', hint: 'Add one of these keys to ~/.ssh/authorized_keys there.' } }
  return [
    server('gpu1', { name: 'GPU 1', selectedModel: 'qwen3:30b', status: status('gpu1', 'ready', { latencyMs: 38 }), lastCheckedAt: checked, ssh: { jumpHosts: [{ host: 'bastion.example', username: 'ai', jumpHosts: [], hasPassword: false, hasPassphrase: false }] } }),
    server('gpu2', { name: 'GPU 2', status: status('gpu2', 'reconnecting', { retryInMs: 4000, attempt: 2 }), lastCheckedAt: checked }),
    server('gpu3', { name: 'GPU 3', status: status('gpu3', 'connecting', { step: 'authenticating to bastion' }) }),
    server('gpu4', { name: 'GPU 4', status: status('gpu4', 'failed', { error: refused }), lastCheckedAt: checked, ssh: { hasPassword: true, authMethod: 'password' } }),
    server('shared', {
      name: 'From the project', trust: { state: 'untrusted', digest: 'sha256:2f1c9a7be0' },
      ssh: { proxyCommand: 'nc -X 5 -x proxy:1080 %h %p', privateKeyPath: '~/.ssh/id_ed25519' }, llm: { headers: { 'X-Team': 'vision' } }
    })
  ]
}

export function many(count) {
  return Array.from({ length: count }, (_, index) => server(`server-${String(index + 1).padStart(2, '0')}`, { name: `Server ${index + 1}`, lastCheckedAt: new Date().toISOString() }))
}

const model = (id, more) => ({
  id, name: id, description: null, parameters: { count: 30_500_000_000, quantization: 'Q4_K_M', family: 'qwen3', format: 'gguf', sizeBytes: 18_600_000_000 },
  contextWindow: { effective: 32_768, maximum: 262_144, source: '/api/ps' }, capabilities: { tools: true, vision: false, reasoning: true, embedding: false }, state: 'loaded', ...more
})

export const MODELS = [
  model('qwen3:30b'),
  model('gemma3:27b', { state: 'unloaded', capabilities: { tools: false, vision: true, reasoning: false, embedding: false }, contextWindow: { effective: null, maximum: 131_072, source: '/api/show' } }),
  model('nomic-embed-text', { state: 'unloaded', parameters: { count: 137_000_000, sizeBytes: 274_000_000 }, capabilities: { embedding: true }, contextWindow: { effective: 2048, maximum: 2048 } }),
  model('mystery', { state: 'unknown', parameters: {}, contextWindow: {}, capabilities: {} })
]

export const SERVER = { kind: 'ollama', version: '0.12.6', apiType: 'ollama', apiTypeReason: 'it is Ollama' }
const FINGERPRINT = 'SHA256:uNiVztksCsDhcc0u9e8BrNQkLxrwTy9IQfQs2KqMNkk'

/** The handlers over a list of servers, which they change. */
export function handlersOf(configs) {
  const find = configId => configs.find(config => config.configId === configId) ?? (() => { throw new Refusal('CONFIG_NOT_FOUND', 'There is no such server.') })()
  const change = (config, main) => {
    const at = configs.findIndex(({ configId }) => configId === config.configId)
    if (at < 0) configs.push(config)
    else configs[at] = config
    main.emit({ type: 'config-changed', configId: config.configId, change: 'saved' })
    return { config }
  }
  const statusOf = (config, state, main, more) => {
    const status = { configId: config.configId, state, since: new Date().toISOString(), ...more }
    change({ ...config, status }, main)
    main.emit({ type: 'connection-status', status })
    return { status }
  }

  return {
    'list-presets': () => ({ presets: [{ id: 'ollama', name: 'Ollama', llm: { apiEndpoint: 'http://127.0.0.1:11434' }, notes: [] }, { id: 'vllm', name: 'vLLM', llm: { apiEndpoint: 'http://127.0.0.1:8000/v1' }, notes: ['Start it with --enable-auto-tool-choice.'] }] }),
    'list-ssh-hosts': () => ({ hosts: [{ alias: 'gpu1', ssh: { host: '10.0.0.7', username: 'ai', port: 22 }, hops: ['bastion'], warnings: [] }], warnings: [] }),
    'list-identities': () => ({ agent: { keys: [{ type: 'ED25519', fingerprint: FINGERPRINT, comment: 'ai@laptop' }] }, keyFiles: [{ path: '~/.ssh/id_ed25519', type: 'ED25519', encrypted: true }] }),
    'parse-target': ({ text }) => {
      const match = /^ssh\s+(?:-J\s+(\S+)\s+)?(?:(\w+)@)?([\w.-]+)$/.exec(text.trim())
      if (!match) throw new Refusal('INVALID_PARAMS', 'That is no ssh command, alias or URL.')
      const [, jump, username, host] = match
      return { ssh: { host, ...(username ? { username } : {}), jumpHosts: jump ? [{ host: jump }] : [] }, llm: null, warnings: [] }
    },
    configure: (params, main) => {
      const configId = params.configId ?? params.name.replace(/\W+/g, '-')
      if (params.llm.tls?.caPath === 'nowhere') throw new Refusal('CONFIG_INVALID', 'CA or certificate file must begin with / or ~/.', { field: 'llm.tls.caPath' })
      const { password, passphrase, ...ssh } = params.ssh
      const { apiKey, ...llm } = params.llm
      const known = configs.find(config => config.configId === configId)
      const kept = (given, flag, section) => (given === undefined ? known?.[section][flag] ?? false : given !== null)
      return change(server(configId, {
        ...known, name: params.name, trust: { state: 'trusted', digest: `sha256:${Date.now()}` },
        ssh: { ...ssh, jumpHosts: (ssh.jumpHosts ?? []).map(hop => ({ ...hop, hasPassword: false, hasPassphrase: false })), hasPassword: kept(password, 'hasPassword', 'ssh'), hasPassphrase: kept(passphrase, 'hasPassphrase', 'ssh') },
        llm: { ...llm, hasApiKey: kept(apiKey, 'hasApiKey', 'llm') }
      }), main)
    },
    'get-config': ({ configId }) => ({ config: find(configId) }),
    'delete-config': ({ configId }, main) => {
      configs.splice(configs.indexOf(find(configId)), 1)
      main.emit({ type: 'config-changed', configId, change: 'deleted' })
      return { deleted: true }
    },
    'trust-config': ({ configId, digest }, main) => {
      const config = find(configId)
      if (config.trust.digest !== digest) throw new Refusal('CONFIG_UNTRUSTED', 'The server has changed since it was shown.')
      return change({ ...config, trust: { state: 'trusted', digest } }, main)
    },
    'select-model': ({ configId, modelId }, main) => change({ ...find(configId), selectedModel: modelId }, main),
    connect: ({ configId }, main) => statusOf(find(configId), 'ready', main, { latencyMs: 38 }),
    disconnect: ({ configId }, main) => statusOf(find(configId), 'off', main),
    'list-models': () => ({ server: SERVER, models: MODELS, warnings: [] }),
    cancel: () => ({ cancelled: true }),
    'approve-tool': () => ({}),
    'set-picked-model': () => ({}),
    'vault-status': () => ({ vault: { state: 'locked', vaultId: 'v1' } }),
    'vault-unlock': ({ passphrase }) => ({ vault: passphrase === 'open sesame' ? { state: 'unlocked' } : { state: 'locked', problem: { message: 'That passphrase does not open the vault.', data: { code: 'VAULT_KEY_MISMATCH' } } } }),
    'vault-reset': () => ({ vault: { state: 'unlocked' } }),
    'test-connection': async (params, main) => {
      const hops = (params.ssh?.jumpHosts?.length ?? 0) + 1
      const host = params.ssh?.host ?? find(params.configId).ssh.host
      const { decision } = await main.ask({ kind: 'host-key', configId: params.configId, hop: hops, hops, host, port: 22, keyType: 'ED25519', fingerprint: FINGERPRINT, reason: 'unknown' })
      const stage = (name, status, detail, more) => ({ name, hop: ['forward', 'http', 'server', 'models'].includes(name) ? undefined : hops, status, durationMs: 4, detail, ...more })
      const begun = [stage('resolve', 'passed', `${host} is 192.0.2.7`), stage('tcp', 'passed', ''), stage('ssh-handshake', 'passed', 'OpenSSH_9.6')]
      if (decision === 'reject') {
        const error = { code: 1010, message: `You rejected the key of ${host}.`, data: { code: 'SSH_HOST_KEY_REJECTED', stage: 'host-key', hint: 'Ask the administrator for its fingerprint.' } }
        return { success: false, error, stages: [...begun, stage('host-key', 'failed', '', { error }), stage('auth', 'skipped', ''), stage('forward', 'skipped', '')], warnings: [] }
      }
      const { answers } = await main.ask({ kind: 'keyboard-interactive', configId: params.configId, hop: hops, hops, host, name: '', instruction: 'Duo two-factor login for ai', prompts: [{ text: 'Passcode: ', echo: false }], attempt: 1, canRemember: false })
      return {
        success: answers?.[0] === '123456', stages: [...begun, stage('host-key', 'passed', 'accepted by you'), stage('auth', 'passed', 'keyboard-interactive'), stage('forward', 'passed', ''), stage('http', 'passed', ''), stage('server', 'passed', 'Ollama 0.12.6'), stage('models', 'passed', '4 models')],
        authMethod: 'keyboard-interactive', hostKey: { type: 'ED25519', fingerprint: FINGERPRINT }, server: SERVER, models: MODELS, warnings: []
      }
    }
  }
}
