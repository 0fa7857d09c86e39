/** freeName 是以 wanted 起头、还没有人用的名字：占了就加 -2、-3…… */
export function freeName(wanted: string, taken: readonly string[]): string {
  if (wanted === '' || !taken.includes(wanted)) return wanted
  for (let n = 2; ; n++) if (!taken.includes(`${wanted}-${n}`)) return `${wanted}-${n}`
}

const notChat = /embed|rerank|bge-|whisper|tts|speech|audio|transcri|dall-e|image|diffusion|moderation|babbage|davinci/i

/** chatFirst 是最像能对话的一个模型，作头一个建议：上游自报的名单里没有种类，只好看名字。都不像就是头一个。 */
export function chatFirst(models: readonly string[]): string {
  return models.find((m) => !notChat.test(m)) ?? models[0] ?? ''
}
