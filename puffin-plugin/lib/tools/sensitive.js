/**
 * Files that are not like others: those that hold secrets (reading one sends it to the remote model, so a
 * person is asked), and those that would run or configure something behind the person's back when changed
 * (never written by a tool).
 */
'use strict'

const os = require('node:os')
const path = require('node:path')

const SECRET_FOLDERS = ['.puffin', '.ssh', '.gnupg', '.aws', '.azure', '.kube', '.docker']
const SECRET_NAMES = [
  '.env', '.env.*', '.envrc', '.netrc', '_netrc', '.npmrc', '.pypirc', '.git-credentials', '.htpasswd', '.pgpass',
  '.my.cnf', '*.pem', '*.key', '*.p12', '*.pfx', '*.jks', '*.keystore', '*.kdbx', '*.ppk', 'id_rsa', 'id_dsa', 'id_ecdsa',
  'id_ed25519', 'credentials', 'credentials.*', 'secrets.*', '*.tfstate', 'vault.json'
]
const HARMLESS_NAMES = new Set(['.env.example', '.env.sample', '.env.template', '.env.dist'])

const PROTECTED_FOLDERS = new Set(['.git', '.hg', '.svn', '.puffin', '.claude', '.ssh', '.gnupg'])
const PROTECTED_IN_HOME = new Set([
  '.bashrc', '.bash_profile', '.bash_login', '.bash_logout', '.profile', '.zshrc', '.zshenv', '.zprofile', '.zlogin',
  '.kshrc', '.cshrc', '.tcshrc', '.login', '.xprofile', '.xinitrc', '.xsession', '.gitconfig', '.npmrc', '.netrc',
  '.config', '.local', '.aws', '.kube', '.docker', 'library'
])

const secretMatchers = SECRET_NAMES.map(name => new RegExp(
  `^${name.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '.*')}$`))

/**
 * @param {string[]} segments  the way from the root to the file
 * @returns {boolean} whether it probably holds secrets
 */
function isSecret(segments) {
  const names = segments.map(plain)
  if (names.some(name => SECRET_FOLDERS.includes(name))) return true
  const last = names.at(-1) ?? ''
  if (names.at(-2) === '.git' && last === 'config') return true
  return !HARMLESS_NAMES.has(last) && secretMatchers.some(matcher => matcher.test(last))
}

/**
 * @param {{segments: string[], path: string}} place
 * @param {string} [home]
 * @returns {string | undefined} what must not be changed, if it is that
 */
function protectedPart({ segments, path: real }, home = os.homedir()) {
  const folder = segments.find(name => PROTECTED_FOLDERS.has(plain(name)))
  if (folder !== undefined) return folder
  const [first] = path.relative(home, real).split(path.sep)
  return first && PROTECTED_IN_HOME.has(plain(first)) && real !== home ? `~/${first}` : undefined
}

/** What git must leave out of what it shows, as pathspecs. */
function gitExclusions() {
  return [...SECRET_FOLDERS.map(name => `**/${name}/**`), ...SECRET_NAMES.map(name => `**/${name}`)]
    .map(glob => `:(top,exclude,icase,glob)${glob}`)
}

/**
 * A name as a forgiving file system compares it: without regard to case, to the characters that HFS+ does
 * not see, and to the dots and spaces that Windows drops at the end.
 */
function plain(name) {
  return name.normalize('NFKC').replace(/[\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/g, '').replace(/[. ]+$/, '').toLowerCase()
}

module.exports = { isSecret, protectedPart, gitExclusions }
