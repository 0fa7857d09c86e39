/** Settings 是除了模型与密钥之外要说的；null 的参数不发，由上游自己定。 */
export interface Settings {
  system: string
  temperature: number | null
  maxTokens: number | null
  stream: boolean
}
