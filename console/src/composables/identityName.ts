/** identityName 是操作员与令牌的名字的样子，与 API 的相同。 */
export const identityName = /^[a-z0-9]([a-z0-9._@+-]{0,62}[a-z0-9])?$/
