"""What every part uses: atomic files, progress bars, seeding and suggestions of names."""
