import { merged } from '../merged'

/** 每个名词一个文件，并成一种语言的全部文字。 */
export default merged(import.meta.glob<Record<string, unknown>>('./*.json', { eager: true, import: 'default' }))
