/** actionGroups 是审计里有的动作，按第一段分组；次序是选单里的次序。 */
export const actionGroups = [
  ['server', 'create', 'update', 'delete', 'test'], ['model', 'create', 'update', 'delete'], ['app', 'create', 'update', 'delete'],
  ['key', 'create', 'update', 'rotate', 'revoke'], ['config', 'apply', 'rollback'], ['node', 'drain', 'forget'],
  ['session', 'open', 'refuse', 'close', 'end'], ['operator', 'create', 'update', 'delete', 'password', 'reset_password'],
  ['token', 'create', 'revoke'], ['settings', 'update'],
].map(([name = '', ...verbs]) => ({ name, actions: verbs.map((v) => `${name}.${v}`) }))
