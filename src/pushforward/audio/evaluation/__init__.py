"""How close a sound is to the recording that it imitates: intelligibility, words, pitch and spectrum."""
